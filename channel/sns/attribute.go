package sns

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/template"
)

// Attribute is one more attribute of every message, for the filter policies of subscriptions.
type Attribute struct {
	// Name is 1 to 256 letters, digits and _ - . and unique; it does not begin or end with a dot, has no two in a row, and
	// does not begin with "AWS." or "Amazon." in whatever case. The names of the attributes that every message has (see
	// the package's documentation) are taken.
	Name string
	// Value makes the value, compiled for template.Header. nil is the event's own attribute of that name. An empty value
	// is left out, because SNS takes none.
	Value *template.Template
}

// ownAttributes are the names of those that every message has.
func ownAttributes() []string {
	return []string{"delivery_id", "event_type", "severity", "tenant", "subject", "route"}
}

// mostAttributes is how many reach a queue with raw message delivery: SNS discards a message with more there ("Amazon
// SNS message attributes", Developer Guide).
const mostAttributes = 10

func checkAttributes(given []Attribute) error {
	var errs []error
	own := ownAttributes()
	if most := mostAttributes - len(own); len(given) > most {
		errs = append(errs, mistake(channel.CodeRange, "Attributes", fmt.Sprintf("are more than %d, with which a message would have more than 10", most), "leave some out"))
	}
	for i, a := range given {
		field := fmt.Sprintf("Attributes[%d]", i)
		same := func(b Attribute) bool { return a.Name == b.Name }
		switch {
		case !isAttributeName(a.Name):
			errs = append(errs, mistake(channel.CodeInvalid, field+".Name", "is not a name that SNS takes", "use up to 256 letters, digits, hyphens and underscores"))
		case slices.Contains(own, a.Name):
			errs = append(errs, mistake(channel.CodeConflict, field+".Name", "is the name of an attribute that every message has", "choose another one"))
		case slices.ContainsFunc(given[:i], same):
			errs = append(errs, mistake(channel.CodeDuplicate, field+".Name", "repeats an earlier attribute", "remove one of them"))
		}
		if a.Value != nil && a.Value.Mode() != template.Header {
			errs = append(errs, mistake(channel.CodeTemplate, field+".Value", "is not a template for one line", "compile it for a header"))
		}
	}
	return errors.Join(errs...)
}

// isAttributeName follows "Amazon SNS message attributes", Developer Guide.
func isAttributeName(name string) bool {
	lower := strings.ToLower(name)
	return name != "" && len(name) <= 256 &&
		!strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("_-.", r) }) &&
		!strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".") && !strings.Contains(name, "..") &&
		!strings.HasPrefix(lower, "aws.") && !strings.HasPrefix(lower, "amazon.")
}
