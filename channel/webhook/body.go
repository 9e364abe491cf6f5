package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/template"
)

// Body says what requests carry. The zero Body is the event's JSON form as it is. Bodies are immutable: any number of
// channels may share one. Every body that is sent is complete, valid UTF-8 and at most [Config].MaxBody long. Printing
// a Body shows what kind of body it is, and nothing of its content.
type Body struct {
	source  bodySource     // nil = the event's JSON form
	secrets []secret.Value // asked for with every attempt
}

// bodySource makes bodies. It is immutable and safe for concurrent use.
type bodySource interface {
	// kind names it for people.
	kind() string
	// contentType is what bodies are unless Config says otherwise; when fixed is true it must not.
	contentType() (value string, fixed bool)
	// check returns what is wrong with it when its bodies are sent as the given media type, or nil.
	check(mediaType string) *channel.ConfigError
	// fill sets what r carries.
	fill(ctx context.Context, in bodyInput, r *rendering) error
	// mayHold tells whether a body may hold secrets that whoever wrote the configuration has not written there openly.
	// fromEvent says that the event holds one.
	mayHold(fromEvent bool) bool
}

// bodyInput is what a body is made from.
type bodyInput struct {
	delivery channel.Delivery
	data     map[string]any // of the event, for templates; must not be modified
	limit    int            // bytes
	secrets  []string       // in the order of Body.secrets; must not be modified
	scratch  *scratch
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

func (b *templateBody) check(mediaType string) *channel.ConfigError {
	switch {
	case b.template == nil:
		return mistake(channel.CodeMissing, "Body", "is a template that is nil", "compile one")
	case b.template.Mode() == template.JSON:
		return nil
	case b.template.Mode() == template.Text && mediaType == "text/plain":
		return nil
	case b.template.Mode() == template.Text:
		// Its values are written unchanged, so they could become markup.
		return mistake(channel.CodeTemplate, "Body", "is a template for plain text with another content type", "make it a template for JSON, or give no content type")
	}
	return mistake(channel.CodeTemplate, "Body", "is not a template for JSON", "compile it for JSON")
}

func (b *templateBody) mayHold(fromEvent bool) bool { return fromEvent }

func (b *templateBody) fill(ctx context.Context, in bodyInput, r *rendering) error {
	return fit(in.data, func(data map[string]any) error {
		made, err := in.scratch.text(ctx, b.template, data)
		if err != nil {
			return err
		}
		r.body = bytes.Clone(made)
		return tooLong(len(made) > in.limit)
	})
}

const jsonType = "application/json"

// sentAs returns the content type of c's requests.
func (c Config) sentAs() string {
	if c.ContentType != "" {
		return c.ContentType
	}
	if c.Body.source == nil {
		return jsonType
	}
	value, _ := c.Body.source.contentType()
	return value
}

// checkBody returns every problem of Body and ContentType.
func (c Config) checkBody() error {
	var errs []error
	if c.ContentType != "" && c.Body.source != nil {
		if _, fixed := c.Body.source.contentType(); fixed {
			errs = append(errs, mistake(channel.CodeConflict, "ContentType", "is set beside a body that has one of its own", "remove one of them"))
		}
	}
	media, parameters, err := mime.ParseMediaType(c.sentAs())
	if value, problem := headerValue(c.sentAs()); err != nil || problem != "" || value != c.sentAs() || !strings.Contains(media, "/") {
		errs = append(errs, mistake(channel.CodeInvalid, "ContentType", "is not a media type", `write it like "application/json"`))
	} else if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		errs = append(errs, mistake(channel.CodeInvalid, "ContentType", "names a charset that is not UTF-8", "remove it: every body is UTF-8"))
	}
	for i, v := range c.Body.secrets {
		literal, ok := literalOf(v)
		if v.IsZero() {
			errs = append(errs, mistake(channel.CodeMissing, bodySecret(i), "is missing", "give it"))
		} else if ok && len(literal) < shortestSecret {
			errs = append(errs, mistake(channel.CodeRange, bodySecret(i), tooShort, "give one that is long enough to be recognised in receipts"))
		}
	}
	if c.Body.source != nil {
		if wrong := c.Body.source.check(media); wrong != nil {
			errs = append(errs, wrong)
		}
	}
	return errors.Join(errs...)
}

// bodySecret is the path of a secret in configuration errors.
func bodySecret(i int) string { return fmt.Sprintf("Body.Secrets[%d]", i) }

// isJSON tells whether a media type is JSON (RFC 6838 section 4.2.8).
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
	if b.source == nil {
		return "webhook.Body(event)"
	}
	return "webhook.Body(" + b.source.kind() + ")"
}
