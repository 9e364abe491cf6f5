package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// Config describes a receiver. Everything but URL may be left zero. Printing a Config shows the URL's origin only,
// because its path and the header values may be credentials; but package fmt cannot know this of a Config inside an
// unexported field of another struct.
//
// The body, the path and query, and header values can be made from the event, by templates from its decoded form; a
// template may be shared by any number of channels. Whatever texts an event holds, what a template makes of it is sent:
// texts that are too long for their place, or for the steps of a template, are cut, with "…" at their ends, and see
// Path and [Header] for what has no place in a URL or a header. A template that cannot make its part otherwise, such as
// one whose JSON is not valid for lack of a value, is a permanent error of kind [KindRender], and nothing is sent.
type Config struct {
	// URL is where events are sent: absolute, as [netguard.ParseURL] describes. Required. Its path and query are
	// treated as secrets, unless it has Masks.
	URL string
	// Masks are up to 10 secret parts of URL: it holds and shows their replacements, and what is called has their
	// values, which are inserted as they are. The rest of URL is then no secret. See [secret.URL].
	Masks []secret.Mask
	// Path makes the path and query, which URL then must not have: a template compiled for template.URL that begins
	// with one slash, such as "/v1/{{tenant}}/events?about={{subject}}". Values cannot add a segment, a parameter or a
	// fragment. A value that is empty, "." or ".." and would be a segment that changes the path becomes "-". The URL as
	// a whole is at most 8 KiB, and what Path makes is a secret. nil = URL is complete.
	Path *template.Template
	// Method is one of Limits.Methods. Empty = POST.
	Method string
	// Body makes the body. The zero value is the event's JSON form as it is.
	Body Body
	// Words are the receiver's own words for types of events, such as event.AccessRequestWords. Templates, macros and
	// forms have them in place of the type, as event_type; the event's JSON form and CloudEvents keep the type. nil =
	// none.
	Words event.Vocabulary
	// ContentType is the media type of the body. Its charset, if any, is UTF-8. Empty = that of Body, which for the
	// zero Body is application/json.
	ContentType string
	// MaxBody is the largest body in bytes. When the event's JSON form, a CloudEvent, or what a template or form makes
	// is larger, the longest texts of the event are cut shorter for it, visibly. What is still larger, or made
	// otherwise, is not sent, not even in part: a permanent error of kind [KindTooLarge]. 0 = 1 MiB, which is also the
	// default limit of a template's output.
	MaxBody int
	// Headers are sent with every request, at most Limits.MaxHeaders. See [Header] for what is allowed.
	Headers []Header
	// Auth is the value of the Authorization header: [Basic], [Token], or the zero value for none.
	Auth Auth
	// Sign signs requests: the receiver can tell who sent them, and that nobody changed them. The zero value does not.
	// See [Sign].
	Sign Signing
	// Success lists the statuses, from 200 to 599, that mean "taken". Empty = any 2xx.
	Success []int
	// Verdicts says what every other status means: VerdictSuccess that the receiver has the event, VerdictTransient
	// that another attempt may succeed, VerdictPermanent that none will. 410 with a permanent verdict means that the
	// receiver is gone, and the error is channel.ErrGone. It must be a pure function. nil = [DefaultVerdicts].
	Verdicts func(status int) retry.Verdict
	// Interpret reads what the status alone does not tell, such as a refusal with status 200 or the receiver's id for
	// what it took. It is given each response with its verdict by Success and Verdicts, and must be a pure function.
	// When the body of a success is only the beginning, because it broke off, did not end in time or could not be
	// decoded, anything but VerdictSuccess counts as not known: the event is sent again. nil = the status decides.
	Interpret func(r Response, verdict retry.Verdict) Reading
	// RateLimit says where the receiver writes how long to send it nothing, besides Retry-After.
	RateLimit RateLimit
	// Guard makes the connections and says which addresses are allowed; share one among the channels of a tenant. nil =
	// one of its own that allows public addresses only.
	Guard *netguard.Guard
	// Limits say what URL, Method and Headers may be. The zero value is HTTPS only, any port, 25 headers.
	Limits netguard.Limits
	// TLS says how the receiver is verified, and how we are. The zero value verifies it with the system's roots.
	TLS netguard.TLS
	// Proxy is an HTTP proxy to send through. nil = none; the environment's is ignored.
	Proxy *netguard.Proxy
	// Timeouts limit the phases of an attempt and the whole of it, credentials and templates included. A deadline of
	// Send's context that is earlier wins.
	Timeouts netguard.Timeouts
	// MaxResponse is how many bytes of a response body the receipt keeps, at most 1 MiB. 0 = 64 KiB.
	MaxResponse int
	// Logger gets a warning when TLS switches verification off, and when the Guard refuses the destination, with the
	// address. nil = slog.Default.
	Logger *slog.Logger
}

const (
	defaultMaxBody     = 1 << 20
	defaultMaxResponse = 64 << 10
	largestMaxResponse = 1 << 20
	defaultTotal       = 30 * time.Second // netguard's
)

// withDefaults returns a copy of c with its zero fields filled in.
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
	if c.Timeouts.Total == 0 {
		c.Timeouts.Total = defaultTotal
	}
	if c.Guard == nil {
		c.Guard = new(netguard.Guard)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Masks, c.Headers, c.Success = slices.Clone(c.Masks), slices.Clone(c.Headers), slices.Clone(c.Success)
	c.Limits.Ports, c.Limits.Methods = slices.Clone(c.Limits.Ports), slices.Clone(c.Limits.Methods)
	return c
}

// validate returns every problem of a Config with its defaults filled in, besides those of URL, Masks, Headers, Auth
// and the connection. u is URL; nil = it has a problem.
func (c Config) validate(u *url.URL) error {
	var errs []error
	if u != nil {
		errs = append(errs, c.validatePath(u))
	}
	errs = append(errs, relabel(c.Limits.ValidateMethod("Method", c.Method)))
	if c.Limits.MaxHeaders >= 0 {
		errs = append(errs, relabel(c.Limits.ValidateHeaderCount("Headers", len(c.Headers))))
	}
	errs = append(errs, c.validateBody(), c.Sign.validate(), c.refuseKept())
	if err := c.Words.Validate(); err != nil {
		errs = append(errs, configError(channel.CodeConflict, "Words",
			"cannot translate both ways: "+strings.ReplaceAll(err.Error(), "\n", "; "), "give each type one word of its own"))
	}
	if c.MaxBody < 0 {
		errs = append(errs, configError(channel.CodeRange, "MaxBody", "is negative", "use a positive size, or 0 for 1 MiB"))
	}
	if c.RateLimit > ResetAtISO8601 {
		errs = append(errs, configError(channel.CodeUnknown, "RateLimit", "is not one of the constants", "use one of them"))
	}
	for i, status := range c.Success {
		field := fmt.Sprintf("Success[%d]", i)
		if status < 200 || status > 599 {
			errs = append(errs, configError(channel.CodeRange, field, "is not a status from 200 to 599", "correct or remove it"))
		} else if slices.Contains(c.Success[:i], status) {
			errs = append(errs, configError(channel.CodeDuplicate, field, "repeats a status", "remove it"))
		}
	}
	if c.MaxResponse < 0 || c.MaxResponse > largestMaxResponse {
		errs = append(errs, configError(channel.CodeRange, "MaxResponse", "is not a size up to 1 MiB", "use 0 for 64 KiB"))
	}
	return errors.Join(errs...)
}

func (c Config) maskedURL() secret.URL { return secret.URL{Text: c.URL, Masks: c.Masks} }

// parsedURL validates URL and Masks as far as that is possible without asking a source, and returns the URL with the
// replacements.
func (c Config) parsedURL() (*url.URL, error) {
	u, err := netguard.ParseURL("URL", c.URL, c.Limits)
	if err != nil {
		return nil, relabel(err)
	}
	if err := c.maskedURL().Validate(); err != nil {
		return nil, relabel(err)
	}
	for _, m := range c.Masks {
		if _, ok := literalOf(m.Value); !ok {
			return u, nil
		}
	}
	called, err := c.maskedURL().Expand(context.Background())
	if err != nil {
		return nil, relabel(err)
	}
	if _, err := netguard.ParseURL("URL", called, c.Limits); err != nil {
		return nil, configError(channel.CodeInvalid, "Masks", "have a value that makes a URL that is not valid", "percent-encode what is special in the values")
	}
	return u, nil
}

// refuseKept refuses placeholders of values that were stored before.
func (c Config) refuseKept() error {
	var errs []error
	refuse := func(field string, v secret.Value) {
		if v.IsKept() {
			errs = append(errs, configError(channel.CodeStored, field, "stands for a value that was stored before", "give the value"))
		}
	}
	for i, m := range c.Masks {
		refuse(fmt.Sprintf("Masks[%d].Value", i), m.Value)
	}
	for i, h := range c.Headers {
		refuse(fmt.Sprintf("Headers[%d].Secret", i), h.Secret)
	}
	refuse("Auth", c.Auth.value)
	for i, v := range c.Body.secrets {
		refuse(bodySecret(i), v)
	}
	for i, k := range c.Sign.keys {
		refuse(signingKey(i), k.Secret)
	}
	return errors.Join(errs...)
}

// Format prints the URL's origin only, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints; without it a JSON log handler would write the whole Config.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c Config) outline() string {
	u, err := c.parsedURL()
	if err != nil {
		return "webhook.Config(invalid URL)"
	}
	return "webhook.Config(" + netguard.Origin(u) + ")"
}

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "webhook", Path: path, Code: code, Problem: problem, Remedy: remedy}
}

// relabel makes the configuration errors of another package in err this package's: their paths are the same here.
func relabel(err error) error { return channel.ConfigErrorsAt(err, "webhook", "") }
