package sns

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/template"
)

// Config describes a topic and what is published to it. Everything but TopicARN may be left zero. Templates see the
// event's decoded form and may be shared by any number of channels.
//
// Every event is published, whatever it contains. The longest texts are cut, with a mark, until the message
// fits MaxSize: see event.Event.Shorten. When a template cannot make its part from an event, the message is the event's
// JSON form without data and attributes, the group is the default, another part is left out, and the Logger gets a
// warning. For a test event (see event.Event.ForTest) that is a permanent error of kind [KindRender] instead, and
// nothing is sent.
type Config struct {
	// TopicARN is the topic, for example "arn:aws:sns:eu-west-1:123456789012:access-events". Required. Its region is
	// the one that is called and signed for.
	TopicARN string
	// Credentials sign the requests. The zero value is the SDK's default chain.
	Credentials Credentials
	// Body makes the message: a template compiled for template.JSON or template.Text, which must not make an empty one.
	// Receipts show it, so it is no place for credentials. nil = the event's JSON form as it is.
	Body *template.Template
	// Subject makes the subject line of e-mails to subscribers, compiled for template.Header. It is cut to 99
	// characters; an empty one is left out. nil = none. A test event (event.Event.IsTest) always has one, which begins
	// with "TEST: ".
	Subject *template.Template
	// Attributes are sent besides those that messages have by themselves, at most 4. Values are cut to 4 KiB.
	Attributes []Attribute
	// Group makes the MessageGroupId, compiled for template.Header. Messages of a group are delivered in order. What is
	// not 1 to 128 visible ASCII characters is hashed. nil = the event's correlation id, see event.Event.CorrelationID;
	// the events of a tenant that have no subject are one group. A standard topic gets a group only if there is a Group
	// (for fair queues).
	Group *template.Template
	// MaxSize is the largest message in bytes, its attributes included, at least 32 KiB, and up to 1 MiB if the topic's
	// MaximumMessageSize says so. A text message is cut, a JSON message made of shorter texts. 0 = 256 KiB.
	MaxSize int
	// Endpoint is called in place of the region's: an origin such as
	// "https://vpce-0a1b-2c3d.sns.eu-west-1.vpce.amazonaws.com" or that of an emulator, without path and query. The Guard
	// judges it like any other destination.
	Endpoint string
	// Guard makes the connections to the endpoint and says which addresses are allowed. nil = one of its own that
	// allows public addresses only. Credentials are not fetched through it, see the package's documentation.
	Guard *netguard.Guard
	// Limits say what Endpoint may be. The zero value is HTTPS only, any port.
	Limits netguard.Limits
	// TLS says how the endpoint is verified. The zero value verifies it with the system's roots.
	TLS netguard.TLS
	// Proxy is an HTTP proxy to send through. nil = none; the environment's is ignored, but for fetching credentials.
	Proxy *netguard.Proxy
	// Timeouts limit the phases of a request; Total also covers making the message and fetching the credentials. A
	// deadline of Send's context that is earlier wins.
	Timeouts netguard.Timeouts
	// Logger gets a warning when TLS switches verification off, when a template fails, and when the Guard refuses the
	// endpoint, with the address. nil = slog.Default.
	Logger *slog.Logger
}

const (
	defaultMaxSize = 256 << 10
	largestMaxSize = 1 << 20
	leastMaxSize   = 32 << 10 // room for all attributes and an event without data
	defaultTotal   = 30 * time.Second
)

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	if c.Timeouts.Total == 0 {
		c.Timeouts.Total = defaultTotal
	}
	if c.Guard == nil {
		c.Guard = new(netguard.Guard)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// validate returns every problem of a Config with its defaults filled in, besides those of TopicARN, Endpoint and the
// connection.
func (c Config) validate() error {
	var errs []error
	if c.MaxSize < leastMaxSize || c.MaxSize > largestMaxSize {
		errs = append(errs, configError(channel.CodeRange, "MaxSize", "is not a size from 32 KiB to 1 MiB", "use 0 for 256 KiB"))
	}
	if c.Body != nil && c.Body.Mode() != template.JSON && c.Body.Mode() != template.Text {
		errs = append(errs, configError(channel.CodeTemplate, "Body", "is not a template for JSON or text", "compile it for one of them"))
	}
	errs = append(errs, validateLine("Subject", c.Subject), validateLine("Group", c.Group),
		validateAttributes(c.Attributes), c.Credentials.validate())
	return errors.Join(errs...)
}

// validateLine refuses a template that may make more than one line.
func validateLine(path string, t *template.Template) error {
	if t != nil && t.Mode() != template.Header {
		return configError(channel.CodeTemplate, path, "is not a template for one line", "compile it for a header")
	}
	return nil
}

// Format prints the topic only, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints; without it a JSON log handler would write the whole Config.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c Config) outline() string {
	t, problem := parseTopic(c.TopicARN)
	if problem != "" {
		return "sns.Config(invalid TopicARN)"
	}
	return "sns.Config(" + t.arn + ")"
}

const pkg = "sns"

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// Attribute is one more attribute of every message, for the filter policies of subscriptions.
type Attribute struct {
	// Name is 1 to 256 letters, digits and _ - . and unique; it does not begin or end with a dot, has no two in a row,
	// and does not begin with "AWS." or "Amazon." in whatever case. The names of the attributes that messages have by
	// themselves (see the package's documentation) are taken.
	Name string
	// Value makes the value, compiled for template.Header. nil is the event's own attribute of that name. An empty
	// value is left out, because SNS takes none.
	Value *template.Template
}

// ownAttributes are the names of those that messages have by themselves. None has both subject and test.
func ownAttributes() []string {
	return []string{"delivery_id", "event_type", "severity", "tenant", "subject", "route", "test"}
}

// mostAttributes is how many reach a queue with raw message delivery: SNS discards a message with more there ("Amazon
// SNS message attributes", Developer Guide).
const mostAttributes = 10

func validateAttributes(given []Attribute) error {
	var errs []error
	own := ownAttributes()
	if most := mostAttributes - len(own) + 1; len(given) > most {
		errs = append(errs, configError(channel.CodeRange, "Attributes", fmt.Sprintf("are more than %d, with which a message would have more than 10", most), "leave some out"))
	}
	for i, a := range given {
		field := fmt.Sprintf("Attributes[%d]", i)
		same := func(b Attribute) bool { return a.Name == b.Name }
		switch {
		case !isAttributeName(a.Name):
			errs = append(errs, configError(channel.CodeInvalid, field+".Name", "is not a name that SNS takes", "use up to 256 letters, digits, hyphens and underscores"))
		case slices.Contains(own, a.Name):
			errs = append(errs, configError(channel.CodeConflict, field+".Name", "is the name of an attribute that every message has", "choose another one"))
		case slices.ContainsFunc(given[:i], same):
			errs = append(errs, configError(channel.CodeDuplicate, field+".Name", "repeats an earlier attribute", "remove one of them"))
		}
		errs = append(errs, validateLine(field+".Value", a.Value))
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

// topic is where a channel publishes to.
type topic struct {
	arn    string
	region string
	fifo   bool
}

const fifoSuffix = ".fifo"

// parseTopic reads arn:partition:sns:region:account:name. The region becomes part of a host name and of every
// signature, so nothing but its proper characters may be in it. problem is "" when raw is a topic's ARN.
func parseTopic(raw string) (t topic, problem string) {
	a, err := arn.Parse(raw)
	switch {
	case err != nil:
		return topic{}, "is not an ARN"
	case a.Service != "sns":
		return topic{}, "is not the ARN of an SNS topic"
	case a.Partition != "aws" && !strings.HasPrefix(a.Partition, "aws-"), !isLabel(a.Partition):
		return topic{}, "has a partition that is not aws, aws-cn or the like"
	case !isLabel(a.Region):
		return topic{}, "has a region that is not of lower case letters, digits and hyphens"
	case a.Partition != partition(a.Region):
		return topic{}, "has a partition that is not its region's, which is in " + partition(a.Region)
	case len(a.AccountID) != 12 || strings.Trim(a.AccountID, "0123456789") != "":
		return topic{}, "has an account that is not 12 digits"
	}
	name, fifo := strings.CutSuffix(a.Resource, fifoSuffix)
	if name == "" || len(a.Resource) > 256 || strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }) {
		return topic{}, "has a name that is not 1 to 256 letters, digits, hyphens and underscores" // CreateTopic, API reference
	}
	return topic{arn: raw, region: a.Region, fifo: fifo}, ""
}

// partition returns the partition that a region is in. A wrong one is never the topic's, and its responses would come
// late and about something else. Source: the SDK's own table, internal/endpoints/awsrulesfn/partitions.json, read
// 2026-11.
func partition(region string) string {
	area, rest, _ := strings.Cut(region, "-")
	place, _, _ := strings.Cut(rest, "-")
	switch area {
	case "cn", "eusc":
		return "aws-" + area
	case "us", "eu":
		switch place {
		case "gov":
			return "aws-us-gov"
		case "iso":
			return "aws-iso"
		case "isob", "isoe", "isof":
			return "aws-iso-" + place[len(place)-1:]
		}
	}
	return "aws"
}

// isLabel reports whether s can be a label of a host name, in lower case, and does not look like anything else.
func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] >= 'a' && s[0] <= 'z' && s[len(s)-1] != '-' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
