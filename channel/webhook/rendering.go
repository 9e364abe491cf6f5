package webhook

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// parts make what of a request depends on the event.
type parts struct {
	path    *template.Template // nil = the configured URL
	headers []headerTemplate
	scratch sync.Pool // of *scratch
}

// headerTemplate makes the value of one header.
type headerTemplate struct {
	field     string // of Config
	name      string // canonical
	sensitive bool
	value     *template.Template
}

// rendering is what was made for one attempt.
type rendering struct {
	body   []byte
	url    *url.URL // nil = the configured URL
	values []string // of the headers that have a template, in their order
	added  []addedHeader
}

// addedHeader is a header that belongs to a body.
type addedHeader struct {
	name  string // canonical
	value [1]string
}

// scratch holds a text while it is being made. Nothing that a receipt shows stays in one.
type scratch struct{ buffer []byte }

// largestBuffer is the largest buffer that is kept: a rare large text must not stay in memory.
const largestBuffer = 64 << 10

// text returns what t makes of the decoded form of e, which all channels share. It is valid until the next call.
func (s *scratch) text(ctx context.Context, t *template.Template, e event.Event) ([]byte, error) {
	out, err := t.Render(ctx, s.buffer[:0], e.Decoded())
	if err != nil {
		return nil, err
	}
	if cap(out) <= largestBuffer {
		s.buffer = out
	}
	return out, nil
}

// newParts returns nil when nothing in c depends on the event but its JSON.
func newParts(c Config, headers []headerTemplate) *parts {
	if c.Body.source == nil && c.Path == nil && len(headers) == 0 {
		return nil
	}
	return &parts{path: c.Path, headers: headers, scratch: sync.Pool{New: func() any { return new(scratch) }}}
}

// render makes what depends on d, with a body from the given source. Nothing is sent when it fails.
func (c *Channel) render(ctx context.Context, m *model, d channel.Delivery, body bodySource, r *rendering) (err error) {
	switch p := c.private.parts; {
	case p != nil:
		err = c.fill(ctx, m, p, d, body, r)
	case body != nil:
		err = c.fill(ctx, m, newParts(Config{Body: Body{source: body}}, nil), d, body, r)
	default:
		r.body = d.Event.JSON()
	}
	if err == nil && len(r.body) > c.maxBody {
		err = retry.Permanent(c.newError(KindTooLarge))
	}
	return err
}

func (c *Channel) fill(ctx context.Context, m *model, p *parts, d channel.Delivery, body bodySource, r *rendering) error {
	s := p.scratch.Get().(*scratch) //nolint:forcetypeassert // newParts puts nothing else in
	defer p.scratch.Put(s)
	if body == nil {
		r.body = d.Event.JSON()
	} else if err := body.fill(ctx, making{d, m.body, s}, r); err != nil {
		return c.unmade(ctx, m, err)
	}
	if p.path != nil {
		out, err := s.text(ctx, p.path, d.Event)
		if err != nil {
			return c.unrendered(ctx, "Path", err)
		}
		u, wrong := withPath(c.origin, string(out), c.private.limits)
		if wrong != nil {
			return c.unfit(wrong.Field, "what it made "+wrong.Problem)
		}
		r.url = u
	}
	for _, h := range p.headers {
		out, err := s.text(ctx, h.value, d.Event)
		if err != nil {
			return c.unrendered(ctx, h.field, err)
		}
		value, problem := headerValue(string(out))
		if problem != "" {
			return c.unfit(h.field, "what it made "+problem)
		}
		r.values = append(r.values, value)
	}
	return nil
}

// putHeaders sets the headers that were made.
func (p *parts) putHeaders(header http.Header, r *rendering) {
	if p != nil {
		for i, h := range p.headers {
			header[h.name] = r.values[i : i+1 : i+1]
		}
	}
	for i := range r.added {
		header[r.added[i].name] = r.added[i].value[:]
	}
}

// showHeaders is putHeaders for a receipt: without the sensitive ones, and without secrets in the others.
func (p *parts) showHeaders(header http.Header, r *rendering, known *secret.Redactor) {
	if p != nil {
		for i, h := range p.headers {
			if !h.sensitive {
				header[h.name] = []string{known.String(r.values[i])}
			}
		}
	}
	for _, a := range r.added {
		header[a.name] = []string{known.String(a.value[0])}
	}
}

// redactor removes what of r must not come out: the path and the sensitive headers. nil = there is no such thing.
func (p *parts) redactor(r *rendering) *secret.Redactor {
	if p == nil {
		return nil
	}
	var secrets []string
	if r.url != nil {
		secrets = append(secrets, r.url.String())
	}
	for i, h := range p.headers {
		if h.sensitive {
			secrets = append(secrets, r.values[i])
		}
	}
	if secrets == nil {
		return nil
	}
	return secret.NewRedactor(secrets...)
}
