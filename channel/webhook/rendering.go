package webhook

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"sync"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
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

// text returns what t makes of the data of an event. It is valid until the next call.
func (s *scratch) text(ctx context.Context, t *template.Template, data map[string]any) ([]byte, error) {
	out, err := t.Render(ctx, s.buffer[:0], data)
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

// dependsOnEvent tells whether more of a request with a body from the given source comes from the event than its JSON.
func (p *parts) dependsOnEvent(body bodySource) bool {
	return p != nil && len(p.headers) > 0 || body != nil && body.mayHold(true) && !body.mayHold(false)
}

// render makes what depends on d, with a body from the given source. Nothing is sent when it fails.
func (c *core) render(ctx context.Context, t *requestTemplate, d channel.Delivery, body bodySource, r *rendering) error {
	p := c.settings.parts
	if p == nil && body == nil {
		r.body = shortEvent(d.Event, c.maxBody).JSON()
	} else {
		if p == nil {
			p = newParts(Config{Body: Body{source: body}}, nil)
		}
		if err := c.fill(ctx, t, p, d, body, r); err != nil {
			return err
		}
	}
	if len(r.body) > c.maxBody {
		return retry.Permanent(c.newError(KindTooLarge))
	}
	return nil
}

func (c *core) fill(ctx context.Context, t *requestTemplate, p *parts, d channel.Delivery, body bodySource, r *rendering) error {
	s := p.scratch.Get().(*scratch) //nolint:forcetypeassert // newParts puts nothing else in
	defer p.scratch.Put(s)
	data := c.settings.data(d)
	if body == nil {
		r.body = shortEvent(d.Event, c.maxBody).JSON()
	} else if err := body.fill(ctx, bodyInput{d, data, c.maxBody, t.body, s}, r); errors.Is(err, errTooLong) {
		return retry.Permanent(c.newError(KindTooLarge))
	} else if err != nil {
		return c.bodyError(ctx, t, err)
	}
	if p.path != nil {
		if err := c.fillPath(ctx, p.path, data, s, r); err != nil {
			return err
		}
	}
	for _, h := range p.headers {
		err := fit(data, func(data map[string]any) error {
			out, err := s.text(ctx, h.value, data)
			if err != nil {
				return err
			}
			value, long := headerText(string(out))
			if !long {
				r.values = append(r.values, value)
			}
			return tooLong(long)
		})
		if errors.Is(err, errTooLong) {
			return c.partError(h.field, "what it made is longer than 8 KiB")
		} else if err != nil {
			return c.templateError(ctx, h.field, err)
		}
	}
	return nil
}

func (c *core) fillPath(ctx context.Context, t *template.Template, data map[string]any, s *scratch, r *rendering) error {
	err := fit(data, func(data map[string]any) error {
		out, err := s.text(ctx, t, data)
		if err != nil {
			return err
		}
		if len(c.origin)+len(out) > maxURL {
			return errTooLong
		}
		u, wrong := withPath(c.origin, string(out), c.settings.limits)
		if wrong != nil {
			return wrong
		}
		r.url = u
		return nil
	})
	if wrong, ok := errors.AsType[*channel.ConfigError](err); ok {
		return c.partError(wrong.Path, "what it made "+wrong.Problem)
	}
	if errors.Is(err, errTooLong) {
		return c.partError("Path", "what it made is longer than 8 KiB")
	}
	if err != nil {
		return c.templateError(ctx, "Path", err)
	}
	return nil
}

// data returns what templates see of d's event: its decoded form, which all channels share, with the receiver's word
// for its type.
func (p *settings) data(d channel.Delivery) map[string]any {
	if d.Event.IsZero() {
		return nil
	}
	data := d.Event.Decoded()
	if word := p.words.Word(d.Event.Type()); word != string(d.Event.Type()) {
		data = maps.Clone(data)
		data["event_type"] = word
	}
	return data
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

// showHeaders is putHeaders for a receipt: without the sensitive ones and, if the event holds secrets, without those.
func (p *parts) showHeaders(header http.Header, r *rendering, known *secret.Redactor, fromEvent bool) {
	show := func(name, value string) {
		if fromEvent {
			value = known.String(value)
		}
		header[name] = []string{value}
	}
	if p != nil {
		for i, value := range r.values {
			if h := p.headers[i]; !h.sensitive {
				show(h.name, value)
			}
		}
	}
	for _, a := range r.added {
		show(a.name, a.value[0])
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
	for i, value := range r.values {
		if p.headers[i].sensitive {
			secrets = append(secrets, value)
		}
	}
	if secrets == nil {
		return nil
	}
	return secret.NewRedactor(secrets...)
}
