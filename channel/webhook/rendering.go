package webhook

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"sync"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// templates make the parts of a request that depend on the event.
type templates struct {
	body    *template.Template // nil = the event's JSON
	path    *template.Template // nil = the configured URL
	headers []headerTemplate
	buffers sync.Pool // of *[]byte, for the text that is being made; nothing that a receipt shows stays in one
}

// headerTemplate makes the value of one header.
type headerTemplate struct {
	field     string // of Config
	name      string // canonical
	sensitive bool
	value     *template.Template
}

// rendering is what the templates made for one attempt.
type rendering struct {
	body   []byte
	url    *url.URL // nil = the configured URL
	values []string // of the headers that have a template, in their order
}

// largestBuffer is the largest buffer that is kept: a rare large body must not stay in memory.
const largestBuffer = 64 << 10

// newTemplates returns nil when c has none.
func newTemplates(c Config, headers []headerTemplate) *templates {
	if c.Body == nil && c.Path == nil && len(headers) == 0 {
		return nil
	}
	return &templates{body: c.Body, path: c.Path, headers: headers, buffers: sync.Pool{New: func() any { return new([]byte) }}}
}

// render makes what depends on e, which is not zero. Nothing is sent when it fails.
func (c *Channel) render(ctx context.Context, e event.Event) (r rendering, err error) {
	if t := c.private.templates; t != nil {
		r, err = c.fill(ctx, t, e)
	} else {
		r.body = e.JSON()
	}
	if err == nil && len(r.body) > c.maxBody {
		err = retry.Permanent(c.newError(KindTooLarge))
	}
	return r, err
}

// fill runs the templates on the decoded form of e, which all channels share.
func (c *Channel) fill(ctx context.Context, t *templates, e event.Event) (r rendering, err error) {
	buffer := t.buffers.Get().(*[]byte) //nolint:forcetypeassert // newTemplates puts nothing else in
	defer t.buffers.Put(buffer)
	text := func(field string, from *template.Template) ([]byte, error) {
		out, err := from.Render(ctx, (*buffer)[:0], e.Decoded())
		if err != nil {
			return nil, c.unrendered(ctx, field, err)
		}
		if cap(out) <= largestBuffer {
			*buffer = out
		}
		return out, nil
	}

	if t.body == nil {
		r.body = e.JSON()
	} else {
		out, err := text("Body", t.body)
		if err != nil {
			return rendering{}, err
		}
		r.body = bytes.Clone(out)
	}
	if t.path != nil {
		out, err := text("Path", t.path)
		if err != nil {
			return rendering{}, err
		}
		u, wrong := withPath(c.origin, string(out), c.private.limits)
		if wrong != nil {
			return rendering{}, c.unfit(wrong.Field, wrong.Problem)
		}
		r.url = u
	}
	for _, h := range t.headers {
		out, err := text(h.field, h.value)
		if err != nil {
			return rendering{}, err
		}
		value, problem := headerValue(string(out))
		if problem != "" {
			return rendering{}, c.unfit(h.field, problem)
		}
		r.values = append(r.values, value)
	}
	return r, nil
}

// putHeaders sets the headers that have a template, without the sensitive ones when they are to be shown.
func (t *templates) putHeaders(header http.Header, r *rendering, shown bool) {
	if t == nil {
		return
	}
	for i, h := range t.headers {
		if !shown || !h.sensitive {
			header[h.name] = r.values[i : i+1 : i+1]
		}
	}
}

// redactor removes what of r must not come out: the path and the sensitive headers. nil = there is no such thing.
func (t *templates) redactor(r *rendering) *secret.Redactor {
	if t == nil {
		return nil
	}
	var secrets []string
	if r.url != nil {
		secrets = append(secrets, r.url.String())
	}
	for i, h := range t.headers {
		if h.sensitive {
			secrets = append(secrets, r.values[i])
		}
	}
	if secrets == nil {
		return nil
	}
	return secret.NewRedactor(secrets...)
}
