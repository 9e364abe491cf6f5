package webhook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/template"
)

// Config describes a receiver. Everything but URL may be left zero. Printing a Config shows the URL's origin only,
// because its path and the header values may be credentials; but package fmt cannot know this of a Config inside an
// unexported field of another struct.
//
// The body, the path and query, and header values can be made by templates from the event's decoded form; a template may
// be shared by any number of channels. One that cannot make its part from an event is a permanent error of kind
// [KindRender], and nothing is sent.
type Config struct {
	// URL is where events are sent: absolute, http or https, without user information and fragment, at most 8 KiB.
	// Required. Its path and query are treated as secrets.
	URL string
	// Path makes the path and query, which URL then must not have: a template compiled for template.URL that begins with
	// one slash, such as "/v1/{{tenant}}/events?about={{subject}}". Values cannot add a segment, a parameter or a fragment.
	// The URL as a whole is at most 8 KiB, and what Path makes is as secret as what URL holds. nil = URL is complete.
	Path *template.Template
	// Method is POST, PUT, PATCH or DELETE. Empty = POST.
	Method string
	// Body makes the body: a template compiled for template.JSON. Receipts show the body, so it is no place for
	// credentials. nil = the event's JSON form as it is.
	Body *template.Template
	// MaxBody is the largest body in bytes, with and without a template. A larger one is not sent: a permanent error of
	// kind [KindTooLarge]. 0 = 1 MiB, which is also the default limit of a template's output.
	MaxBody int
	// Headers are sent with every request, at most 25. See [Header] for what is allowed.
	Headers []Header
	// Auth is the value of the Authorization header: [Basic], [Token], or the zero value for none.
	Auth Auth
	// Success lists the statuses, from 200 to 599, that mean "taken". Empty = any 2xx.
	Success []int
	// Verdicts says what every other status means. nil = [DefaultVerdicts].
	Verdicts Verdicts
	// Timeouts limit the phases of an attempt. The whole attempt, response body included, is limited by Send's context.
	Timeouts Timeouts
	// MaxResponse is how many bytes of a response body the receipt keeps, at most 1 MiB. 0 = 64 KiB.
	MaxResponse int
}

// Timeouts limit the phases of one attempt. The error's Kind names the phase that took too long.
type Timeouts struct {
	Connect time.Duration // name resolution and TCP together; 0 = 10 s
	TLS     time.Duration // handshake; 0 = 10 s
	Header  time.Duration // from the end of the request to the end of the response's header; 0 = 15 s
}

const (
	defaultConnect     = 10 * time.Second
	defaultTLS         = 10 * time.Second
	defaultHeader      = 15 * time.Second
	defaultMaxBody     = 1 << 20
	defaultMaxResponse = 64 << 10
	largestMaxResponse = 1 << 20
)

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	if c.Method == "" {
		c.Method = http.MethodPost
	}
	if c.Verdicts == nil {
		c.Verdicts = DefaultVerdicts
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.MaxResponse == 0 {
		c.MaxResponse = defaultMaxResponse
	}
	for _, d := range []struct {
		field     *time.Duration
		otherwise time.Duration
	}{{&c.Timeouts.Connect, defaultConnect}, {&c.Timeouts.TLS, defaultTLS}, {&c.Timeouts.Header, defaultHeader}} {
		if *d.field == 0 {
			*d.field = d.otherwise
		}
	}
	return c
}

// check returns every problem of a Config with its defaults filled in, besides those of URL, Path, Headers and Auth.
func (c Config) check() error {
	var errs []error
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, c.Method) {
		errs = append(errs, &ConfigError{"Method", "is not one of POST, PUT, PATCH and DELETE", "use one of them, in upper case"})
	}
	if c.Body != nil && c.Body.Mode() != template.JSON {
		errs = append(errs, &ConfigError{"Body", "is not a template for JSON", "compile it with Mode: template.JSON"})
	}
	if c.MaxBody < 0 {
		errs = append(errs, &ConfigError{"MaxBody", "is negative", "use a positive size, or 0 for 1 MiB"})
	}
	for i, status := range c.Success {
		field := fmt.Sprintf("Success[%d]", i)
		if status < 200 || status > 599 {
			errs = append(errs, &ConfigError{field, "is not a status from 200 to 599", "correct or remove it"})
		} else if slices.Contains(c.Success[:i], status) {
			errs = append(errs, &ConfigError{field, "repeats a status", "remove it"})
		}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"Timeouts.Connect", c.Timeouts.Connect}, {"Timeouts.TLS", c.Timeouts.TLS}, {"Timeouts.Header", c.Timeouts.Header}} {
		if d.value < 0 {
			errs = append(errs, &ConfigError{d.field, "is negative", "use a positive duration, or 0 for the default"})
		}
	}
	if c.MaxResponse < 0 || c.MaxResponse > largestMaxResponse {
		errs = append(errs, &ConfigError{"MaxResponse", "is not a size up to 1 MiB", "use 0 for 64 KiB"})
	}
	return errors.Join(errs...)
}

// Format prints the URL's origin only, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints; without it a JSON log handler would write the whole Config.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c Config) outline() string {
	u, err := parseURL(c.URL)
	if err != nil {
		return "webhook.Config(invalid URL)"
	}
	return "webhook.Config(" + origin(u) + ")"
}
