package webhook

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/url"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// headerTemplate makes the value of one header.
type headerTemplate struct {
	field     string // of Config
	name      string // canonical
	sensitive bool
	value     *template.Template
}

// rendered is what of a request was made from the event.
type rendered struct {
	body    []byte
	url     *url.URL     // nil = the configured URL
	values  []string     // of the headers that have a template, in their order
	headers []bodyHeader // that belong to the body
}

// bodyHeader is a header that belongs to a body.
type bodyHeader struct {
	name  string // canonical
	value [1]string
}

// render makes what depends on the event. Nothing is sent when it fails.
func (c *core) render(ctx context.Context, a *attempt) error {
	in := bodyInput{delivery: a.delivery, limit: c.config.MaxBody, secrets: a.template.bodySecrets}
	if a.source != (eventBody{}) || c.config.Path != nil || len(c.templates) > 0 {
		in.data = c.data(a.delivery)
	}
	if err := a.source.render(ctx, in, &a.rendered); errors.Is(err, errTooLong) {
		return retry.Permanent(c.newError(KindTooLarge))
	} else if err != nil {
		if invalid, ok := errors.AsType[*template.JSONError](err); ok {
			a.body = []byte(invalid.Text()) // for the receipt
		}
		return c.bodyError(ctx, a.template, err)
	}
	if t := c.config.Path; t != nil {
		err := c.renderText(ctx, "Path", t, in.data, func(path string) error {
			u, err := c.withPath(path)
			a.url = u
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, h := range c.templates {
		err := c.renderText(ctx, h.field, h.value, in.data, func(text string) error {
			value := headerText(text)
			if err := limitSize(len(value), maxHeaderValue); err != nil {
				return err
			}
			a.values = append(a.values, value)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(a.body) > c.config.MaxBody {
		return retry.Permanent(c.newError(KindTooLarge))
	}
	return nil
}

// renderText passes what t makes of data to use, which returns errTooLong or a *channel.ConfigError.
func (c *core) renderText(ctx context.Context, field string, t *template.Template, data map[string]any, use func(string) error) error {
	err := fit(data, func(data map[string]any) error {
		out, err := t.Render(ctx, nil, data)
		if err != nil {
			return err
		}
		return use(string(out))
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, errTooLong) {
		return c.renderError(field, "what it made is longer than 8 KiB")
	}
	if wrong, ok := errors.AsType[*channel.ConfigError](err); ok {
		return c.renderError(field, "what it made "+wrong.Problem)
	}
	return c.templateError(ctx, field, err)
}

// data returns what templates see of d's event: its decoded form, which all channels share, with the receiver's word
// for its type.
func (c *core) data(d channel.Delivery) map[string]any {
	if d.Event.IsZero() {
		return nil
	}
	data := d.Event.Decoded()
	if word := c.config.Words.Word(d.Event.Type()); word != string(d.Event.Type()) {
		data = maps.Clone(data)
		data["event_type"] = word
	}
	return data
}

// renderedSecrets returns a redactor of the rendered secrets: the path and the sensitive headers. nil = there are none.
func (c *core) renderedSecrets(a *attempt) *secret.Redactor {
	var secrets []string
	if a.url != nil {
		secrets = append(secrets, a.url.String())
	}
	for i, value := range a.values {
		if c.templates[i].sensitive {
			secrets = append(secrets, value)
		}
	}
	if secrets == nil {
		return nil
	}
	return secret.NewRedactor(secrets...)
}

// maxURL is netguard's.
const maxURL = 8 << 10

// withPath returns the URL with a path and query that Config.Path made.
func (c *core) withPath(path string) (*url.URL, error) {
	if len(c.origin)+len(path) > maxURL {
		return nil, errTooLong
	}
	return withPath(c.origin, path, c.config.Limits)
}

// withPath returns the URL of an origin with a path and query that a template made, or a *channel.ConfigError. The
// first character decides that the host stays the origin's, and a second slash would make the path read like a host.
func withPath(origin, path string, l netguard.Limits) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, configError(channel.CodeInvalid, "Path", "does not begin with exactly one slash",
			"begin it with one, and let what may be empty not fill the first segment")
	}
	u, err := netguard.ParseURL("Path", origin+path, l)
	return u, relabel(err)
}

// validatePath returns what is wrong with Path beside u as URL, as far as it shows without data.
func (c Config) validatePath(u *url.URL) error {
	switch {
	case c.Path == nil:
		return nil
	case c.Path.Mode() != template.URL:
		return configError(channel.CodeTemplate, "Path", "is not a template for URLs", "compile it for URLs")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery:
		return configError(channel.CodeConflict, "URL", "has a path or query beside the template that makes them", "move them into the template")
	}
	// Values are percent-encoded, so what is wrong here is wrong in the template's own text. Not so a render that fails
	// and a first segment that is empty: both may come from the lack of data.
	out, err := c.Path.Render(context.Background(), nil, map[string]any{})
	if err == nil && !bytes.HasPrefix(out, []byte("//")) {
		_, err := withPath(netguard.Origin(u), string(out), c.Limits)
		return err
	}
	return nil
}
