package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// model is what requests are copies of, with the secrets in their places. It is made anew when one of them has changed.
type model struct {
	redactor *secret.Redactor // knows every secret in it
	request  *http.Request    // without header and body
	header   http.Header      // of every request, without the id
	shown    http.Header      // header as receipts show it
	start    string           // of every receipt's request
	body     []string         // the secrets of Config.Body
	keys     []*signature.Key // of Config.Sign
}

// private is what must not be printed. Package fmt prints a struct that holds a Channel in an unexported field without
// asking the Channel, and then goes one pointer deep.
type private struct {
	url       secret.URL
	limits    netguard.Limits
	method    string
	header    http.Header // fixed; sensitive values are secret.Redacted
	sensitive []Header
	auth      Auth
	secrets   *secret.Set
	body      Body
	media     string // type of the body
	signing   Signing
	parts     *parts // nil = none
	current   atomic.Pointer[model]
}

// static checks URL and Masks as far as that is possible without asking a source, and returns the URL with the replacements.
func (c Config) static() (*url.URL, error) {
	u, err := netguard.CheckURL("URL", c.URL, c.Limits)
	if err != nil {
		return nil, within("URL", false, err)
	}
	if err := (secret.URL{Text: c.URL, Masks: c.Masks}).Check(); err != nil {
		return nil, within("Masks", true, err)
	}
	for _, m := range c.Masks {
		if _, ok := literalOf(m.Value); !ok {
			return u, nil
		}
	}
	called, err := secret.URL{Text: c.URL, Masks: c.Masks}.Expand(context.Background())
	if err != nil {
		return nil, within("Masks", true, err)
	}
	if _, err := netguard.CheckURL("URL", called, c.Limits); err != nil {
		return nil, &ConfigError{"Masks", "have a value that makes a URL that is not valid", "percent-encode what is special in the values"}
	}
	return u, nil
}

// checkKept refuses placeholders of values that were stored before.
func (c Config) checkKept() error {
	var errs []error
	refuse := func(field string, v secret.Value) {
		if v.IsKept() {
			errs = append(errs, &ConfigError{field, "stands for a value that was stored before", "merge that in with UpdateHeaders or secret.URL.Update, or give the value"})
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
		refuse(fmt.Sprintf("Body: secret %d", i+1), v)
	}
	for i, k := range c.Sign.keys {
		refuse(fmt.Sprintf("Sign: key %d", i+1), k.Secret)
	}
	return errors.Join(errs...)
}

// newPrivate takes a Config that has been checked, its URL and the header that is made of it.
func newPrivate(c Config, u *url.URL, header http.Header) *private {
	p := &private{url: secret.URL{Text: c.URL, Masks: c.Masks}, limits: c.Limits, method: c.Method, header: header, auth: c.Auth, body: c.Body, signing: c.Sign}
	p.media, _, _ = mime.ParseMediaType(c.sentAs()) // it has been checked
	values := append(p.url.Values(), c.Auth.value)
	if len(c.Masks) == 0 && u.RequestURI() != "/" {
		values = append(values, secret.Literal(u.String())) // with all its parts
	}
	for _, h := range c.Headers {
		switch {
		case h.Sensitive():
			p.sensitive = append(p.sensitive, h)
			values = append(values, h.Secret)
		case alwaysSensitive(http.CanonicalHeaderKey(h.Name)):
			values = append(values, secret.Literal(h.Value))
		}
	}
	values = append(values, c.Body.secrets...)
	for _, k := range c.Sign.keys {
		values = append(values, k.Secret)
	}
	if c.Proxy != nil {
		values = append(values, c.Proxy.Password)
	}
	p.secrets = secret.NewSet(values...)
	return p
}

// model returns the current one. The error is a *secret.SourceError, or that of ctx.
func (p *private) model(ctx context.Context) (*model, error) {
	before, err := p.secrets.Redactor(ctx)
	if err != nil {
		return nil, err
	}
	if m := p.current.Load(); m != nil && m.redactor == before {
		return m, nil
	}
	m, err := p.build(ctx)
	if err != nil {
		return nil, err
	}
	// Asked again, because it must know what was revealed just now. Kept only when nothing has changed meanwhile.
	if m.redactor, err = p.secrets.Redactor(ctx); err != nil {
		return nil, err
	}
	for name, values := range m.shown {
		m.shown[name] = []string{m.redactor.String(values[0])}
	}
	m.start = m.redactor.String(m.start)
	if m.redactor == before {
		p.current.Store(m)
	}
	return m, nil
}

// build makes a model without its redactor.
func (p *private) build(ctx context.Context) (*model, error) {
	m := &model{header: maps.Clone(p.header), shown: maps.Clone(p.header)}
	called, err := p.url.Expand(ctx)
	if err != nil {
		return nil, err
	}
	u, err := netguard.CheckURL("URL", called, p.limits)
	if err != nil {
		return nil, &secret.SourceError{Source: p.maskSources(), Reason: "makes a URL that is not valid"}
	}
	m.start = p.method + " " + p.url.String()
	if len(p.url.Masks) == 0 {
		m.start = p.method + " " + netguard.Origin(u)
	}
	m.request = &http.Request{Method: p.method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	for _, h := range p.sensitive {
		revealed, err := h.Secret.Reveal(ctx)
		if err != nil {
			return nil, err
		}
		value, problem := headerValue(revealed)
		if problem != "" {
			return nil, &secret.SourceError{Source: h.Secret.Source(), Reason: problem}
		}
		m.header[http.CanonicalHeaderKey(h.Name)] = []string{value}
	}
	if p.auth.scheme != none {
		value, err := p.auth.reveal(ctx)
		if err != nil {
			return nil, err
		}
		m.header["Authorization"] = []string{value}
	}
	if m.body, err = p.body.reveal(ctx); err != nil {
		return nil, err
	}
	if m.keys, err = p.signing.reveal(ctx); err != nil {
		return nil, err
	}
	for name := range m.header {
		if alwaysSensitive(name) {
			m.shown[name] = []string{secret.Redacted}
		}
	}
	return m, nil
}

// maskSources names where the values of the masks come from.
func (p *private) maskSources() string {
	var sources []string
	for _, m := range p.url.Masks {
		sources = append(sources, m.Value.Source())
	}
	return strings.Join(sources, ", ")
}
