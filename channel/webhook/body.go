package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// Body says what requests carry. The zero Body is the event's JSON form as it is. Bodies are immutable: any number of
// channels may share one. Every body that is sent is complete, valid UTF-8 and at most [Config].MaxBody long. Printing
// a Body shows what kind of body it is, and nothing of its content.
type Body struct {
	source  bodySource     // nil = eventBody
	secrets []secret.Value // asked for with every attempt
}

// bodySource makes bodies. It is immutable and safe for concurrent use.
type bodySource interface {
	// kind names it for people.
	kind() string
	// contentType is what bodies are unless Config says otherwise; when fixed is true it must not.
	contentType() (value string, fixed bool)
	// validate returns what is wrong with it when its bodies are sent as the given media type.
	validate(mediaType string) error
	// render makes r's body, and headers that belong to it.
	render(ctx context.Context, in bodyInput, r *rendered) error
	// mayHoldSecrets reports whether a body may hold secrets that whoever wrote the configuration has not written there
	// openly. fromEvent says that the event holds one.
	mayHoldSecrets(fromEvent bool) bool
}

// bodyInput is what a body is made from.
type bodyInput struct {
	delivery channel.Delivery
	data     map[string]any // of the event, for templates; must not be modified
	limit    int            // bytes
	secrets  []string       // in the order of Body.secrets; must not be modified
}

// sourceOrEvent returns what makes the bodies of b.
func (b Body) sourceOrEvent() bodySource {
	if b.source == nil {
		return eventBody{}
	}
	return b.source
}

// eventBody is the event's JSON form.
type eventBody struct{}

func (eventBody) kind() string { return "event" }

func (eventBody) contentType() (string, bool) { return jsonType, false }

func (eventBody) validate(string) error { return nil }

func (eventBody) mayHoldSecrets(bool) bool { return true }

func (eventBody) render(_ context.Context, in bodyInput, r *rendered) error {
	r.body = shortEvent(in.delivery.Event, in.limit).JSON()
	return nil
}

// invalidBodyError says why a body cannot be made from an event, in words that hold nothing of the event.
type invalidBodyError struct{ problem string }

func (e *invalidBodyError) Error() string { return e.problem }

// TemplateBody is what t makes of the event's decoded form: JSON of a template compiled for template.JSON, in either
// syntax, or plain text of one compiled for template.Text, whose content type is then text/plain. Receipts show the
// body, so it is no place for credentials. A nil t is an error of [New].
//
// A signature covers plain text too, but receivers' libraries that parse JSON after they have checked it refuse it, see
// [FormBody].
func TemplateBody(t *template.Template) Body { return Body{source: &templateBody{t}} }

type templateBody struct{ template *template.Template }

func (b *templateBody) kind() string { return "template" }

func (b *templateBody) contentType() (string, bool) {
	if b.template != nil && b.template.Mode() == template.Text {
		return "text/plain; charset=utf-8", false
	}
	return jsonType, false
}

func (b *templateBody) validate(mediaType string) error {
	switch {
	case b.template == nil:
		return configError(channel.CodeMissing, "Body", "is a template that is nil", "compile one")
	case b.template.Mode() == template.JSON:
		return nil
	case b.template.Mode() == template.Text && mediaType == "text/plain":
		return nil
	case b.template.Mode() == template.Text:
		// Its values are written unchanged, so they could become markup.
		return configError(channel.CodeTemplate, "Body", "is a template for plain text with another content type", "make it a template for JSON, or give no content type")
	}
	return configError(channel.CodeTemplate, "Body", "is not a template for JSON", "compile it for JSON")
}

func (b *templateBody) mayHoldSecrets(fromEvent bool) bool { return fromEvent }

func (b *templateBody) render(ctx context.Context, in bodyInput, r *rendered) error {
	return fit(in.data, func(data map[string]any) error {
		made, err := b.template.Render(ctx, make([]byte, 0, 1<<10), data)
		if err != nil {
			return err
		}
		r.body = made
		return limitSize(len(made), in.limit)
	})
}

const jsonType = "application/json"

// contentType returns the content type of c's requests.
func (c Config) contentType() string {
	if c.ContentType != "" {
		return c.ContentType
	}
	value, _ := c.Body.sourceOrEvent().contentType()
	return value
}

// validateBody returns every problem of Body and ContentType.
func (c Config) validateBody() error {
	var errs []error
	if c.ContentType != "" {
		if _, fixed := c.Body.sourceOrEvent().contentType(); fixed {
			errs = append(errs, configError(channel.CodeConflict, "ContentType", "is set beside a body that has one of its own", "remove one of them"))
		}
	}
	media, parameters, err := mime.ParseMediaType(c.contentType())
	if value, problem := headerValue(c.contentType()); err != nil || problem != "" || value != c.contentType() || !strings.Contains(media, "/") {
		errs = append(errs, configError(channel.CodeInvalid, "ContentType", "is not a media type", `write it like "application/json"`))
	} else if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		errs = append(errs, configError(channel.CodeInvalid, "ContentType", "names a charset that is not UTF-8", "remove it: every body is UTF-8"))
	}
	for i, v := range c.Body.secrets {
		literal, ok := literalOf(v)
		if v.IsZero() {
			errs = append(errs, configError(channel.CodeMissing, bodySecret(i), "is missing", "give it"))
		} else if ok && len(literal) < shortestSecret {
			errs = append(errs, configError(channel.CodeRange, bodySecret(i), tooShort, "give one that is long enough to be recognised in receipts"))
		}
	}
	errs = append(errs, c.Body.sourceOrEvent().validate(media))
	return errors.Join(errs...)
}

// bodySecret is the path of a secret in configuration errors.
func bodySecret(i int) string { return fmt.Sprintf("Body.Secrets[%d]", i) }

// isJSON reports whether a media type is JSON (RFC 6838 section 4.2.8).
func isJSON(mediaType string) bool {
	return mediaType == jsonType || strings.HasSuffix(mediaType, "+json")
}

// A secret in a body has no place by which it could be hidden, and a redactor does not look for shorter ones.
const (
	shortestSecret = 8
	tooShort       = "is shorter than 8 characters, so that receipts could show it"
)

// reveal returns the secrets of the body. The error is that of secret.Value.Reveal, or a *secret.SourceError.
func (b Body) reveal(ctx context.Context) ([]string, error) {
	var texts []string
	for _, v := range b.secrets {
		text, err := v.Reveal(ctx)
		if err != nil {
			return nil, err
		}
		if len(text) < shortestSecret {
			return nil, &secret.SourceError{Source: v.Source(), Reason: tooShort}
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// Format prints what kind of body it is, whatever the verb.
func (b Body) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, b.outline()) }

// LogValue is what Format prints.
func (b Body) LogValue() slog.Value { return slog.StringValue(b.outline()) }

func (b Body) outline() string {
	return "webhook.Body(" + b.sourceOrEvent().kind() + ")"
}

// StaticBody is b, byte for byte, whatever the event; it is copied. It must be valid UTF-8, and JSON unless
// [Config].ContentType says something else. Receipts show it as it is, so it is no place for credentials.
func StaticBody(b []byte) Body { return Body{source: &staticBody{bytes.Clone(b)}} }

type staticBody struct{ content []byte }

func (b *staticBody) kind() string { return "static" }

func (b *staticBody) contentType() (string, bool) { return jsonType, false }

func (b *staticBody) validate(mediaType string) error {
	if !utf8.Valid(b.content) {
		return configError(channel.CodeInvalid, "Body", "is not valid UTF-8", "convert it")
	}
	if !isJSON(mediaType) {
		return nil
	}
	var document json.RawMessage
	err := json.Unmarshal(b.content, &document)
	if err == nil {
		return nil
	}
	where := ""
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := b.content[:max(syntax.Offset-1, 0)]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		where = fmt.Sprintf(" from line %d, column %d on", line, column)
	}
	return configError(channel.CodeInvalid, "Body", "is not valid JSON"+where, "correct it, or give the content type that it has")
}

func (*staticBody) mayHoldSecrets(bool) bool { return false }

func (b *staticBody) render(_ context.Context, _ bodyInput, r *rendered) error {
	r.body = b.content
	return nil
}

// BodyFunc is what f makes of a delivery. f is called once per attempt, from many goroutines at once; it must not
// modify or retain what it is given, and what it returns must be valid UTF-8 and is not used by f any more.
//
// The texts of the given secrets, for receivers that want a credential in the body, are passed to f in their order.
// Only so are they asked for with every attempt, hidden in receipts and errors, and found by channeltest.RunLeaks; a
// secret that f knows by itself is none of that. Each has at least 8 characters.
//
// An error of f is a permanent error of kind [KindRender]. Its text is shown, on one line and without the secrets, so
// it should say what is wrong with the event without quoting it; the error itself cannot be reached.
func BodyFunc(contentType string, f func(d channel.Delivery, secrets []string) ([]byte, error), secrets ...secret.Value) Body {
	return Body{&funcBody{contentType, f}, slices.Clone(secrets)}
}

type funcBody struct {
	media string
	f     func(channel.Delivery, []string) ([]byte, error)
}

func (b *funcBody) kind() string { return "func" }

func (b *funcBody) contentType() (string, bool) {
	if b.media == "" {
		return jsonType, false
	}
	return b.media, false
}

func (b *funcBody) validate(string) error {
	if b.f == nil {
		return configError(channel.CodeMissing, "Body", "is a function that is nil", "give one")
	}
	return nil
}

func (*funcBody) mayHoldSecrets(bool) bool { return true }

func (b *funcBody) render(_ context.Context, in bodyInput, r *rendered) error {
	made, err := b.f(in.delivery, in.secrets)
	if err != nil {
		return err
	}
	if !utf8.Valid(made) {
		return &invalidBodyError{"what it made is not valid UTF-8"}
	}
	r.body = made
	return nil
}

// AlertBody is the flat alert that directory platforms send to webhooks: a JSON object with exactly 17 fields, those of
// event.Alert, as they are in the event's data. It is for events whose data has them all, each a text, number, boolean
// or null: those of package event and a host's own. Another event is a permanent error of kind [KindRender].
//
// There is no field that says test: the alert_title of a test event begins with "TEST: ", and its alert_id is the
// event's id, so that no alert changes that is tracked by its id.
func AlertBody() Body { return Body{source: alertBody{}} }

type alertBody struct{}

func (alertBody) kind() string { return "alert" }

func (alertBody) contentType() (string, bool) { return jsonType, false }

func (alertBody) validate(string) error { return nil }

func (alertBody) mayHoldSecrets(fromEvent bool) bool { return fromEvent }

func (alertBody) render(_ context.Context, in bodyInput, r *rendered) error {
	var data map[string]json.RawMessage
	if err := json.Unmarshal(in.delivery.Event.Data(), &data); err != nil {
		return &invalidBodyError{"the event's data is not an object"}
	}
	body := make([]byte, 0, len(in.delivery.Event.Data()))
	separator := byte('{')
	// The receiver's list, not that of the fields of event.Alert, to which some may be added one day.
	for _, name := range [...]string{
		"alert_id", "alert_title", "category", "description", "di_event", "event_description", "initiated_by", "occurred_at",
		"previous_alert_status", "priority", "rule_id", "source_id", "source_name", "source_type", "source_url", "status",
		"update_at",
	} {
		value, ok := data[name]
		if !ok || value[0] == '{' || value[0] == '[' {
			return &invalidBodyError{"the event is not an alert: its data has no " + name}
		}
		if in.delivery.Event.IsTest() {
			value = testAlertField(in.delivery.Event, name, value)
		}
		body = append(body, separator, '"')
		body = append(body, name...)
		body = append(body, '"', ':')
		body = append(body, value...)
		separator = ','
	}
	r.body = append(body, '}')
	return nil
}

// testAlertField is the value of a field in the alert of the test event e.
func testAlertField(e event.Event, name string, value json.RawMessage) json.RawMessage {
	var text string
	switch name {
	case "alert_id":
		text = e.ID()
	case "alert_title":
		if json.Unmarshal(value, &text) != nil {
			text = string(value) // a number or boolean
		}
		text = notice.MarkTest(e, text)
	default:
		return value
	}
	encoded, _ := json.Marshal(text) // a string can always be encoded
	return encoded
}
