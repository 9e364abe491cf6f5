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

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
)

// requestTemplate is what requests are copies of, with the secrets in their places. It is made anew when one of them
// has changed.
type requestTemplate struct {
	redactor *secret.Redactor // knows every secret in it
	request  *http.Request    // without header and body
	header   http.Header      // of every request, without the id
	body     []string         // the secrets of Config.Body
	keys     []*signature.Key // of Config.Sign
}

// settings are what of a Config requests are made from.
type settings struct {
	url           secret.URL
	limits        netguard.Limits
	method        string
	header        http.Header // fixed; sensitive values are secret.Redacted
	shown         http.Header // header as receipts show it
	start         string      // of the request that receipts show
	sensitive     []Header
	auth          Auth
	proxyPassword secret.Value
	secrets       *secret.Set
	body          Body
	media         string // type of the body
	words         event.Vocabulary
	signing       Signing
	parts         *parts // nil = none
	current       atomic.Pointer[requestTemplate]
}

// static checks URL and Masks as far as that is possible without asking a source, and returns the URL with the
// replacements.
func (c Config) static() (*url.URL, error) {
	u, err := netguard.CheckURL("URL", c.URL, c.Limits)
	if err != nil {
		return nil, own(err)
	}
	if err := (secret.URL{Text: c.URL, Masks: c.Masks}).Check(); err != nil {
		return nil, own(err)
	}
	for _, m := range c.Masks {
		if _, ok := literalOf(m.Value); !ok {
			return u, nil
		}
	}
	called, err := secret.URL{Text: c.URL, Masks: c.Masks}.Expand(context.Background())
	if err != nil {
		return nil, own(err)
	}
	if _, err := netguard.CheckURL("URL", called, c.Limits); err != nil {
		return nil, mistake(channel.CodeInvalid, "Masks", "have a value that makes a URL that is not valid", "percent-encode what is special in the values")
	}
	return u, nil
}

// checkKept refuses placeholders of values that were stored before.
func (c Config) checkKept() error {
	var errs []error
	refuse := func(field string, v secret.Value) {
		if v.IsKept() {
			errs = append(errs, mistake(channel.CodeStored, field, "stands for a value that was stored before", "give the value"))
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

// newSettings takes a Config that has been checked, its URL and the header that is made of it.
func newSettings(c Config, u *url.URL, header http.Header) *settings {
	p := &settings{
		url: secret.URL{Text: c.URL, Masks: c.Masks}, limits: c.Limits, method: c.Method, header: header, auth: c.Auth,
		body: c.Body, words: c.Words, signing: c.Sign,
	}
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
		p.proxyPassword = c.Proxy.Password
		values = append(values, c.Proxy.Password)
	}
	p.secrets = secret.NewSet(values...)
	p.describe(c, u)
	return p
}

// describe sets what receipts show of every request. It is what whoever wrote the configuration wrote openly, so it is
// not searched for secrets: what of a list of guesses is hidden would tell which of them is one.
func (p *settings) describe(c Config, u *url.URL) {
	p.start = p.method + " " + p.url.String()
	if len(p.url.Masks) == 0 {
		p.start = p.method + " " + netguard.Origin(u)
	}
	p.shown = maps.Clone(p.header)
	for _, h := range c.Headers {
		switch name := http.CanonicalHeaderKey(h.Name); {
		case alwaysSensitive(name):
			p.shown[name] = []string{secret.Redacted}
		case h.Template != nil:
			delete(p.shown, name) // until it is made
		}
	}
	if p.auth.scheme != none {
		p.shown["Authorization"] = []string{secret.Redacted}
	}
}

// template returns the current one. The error is a *secret.SourceError, or that of ctx.
func (p *settings) template(ctx context.Context) (*requestTemplate, error) {
	before, err := p.secrets.Redactor(ctx)
	if err != nil {
		return nil, err
	}
	if t := p.current.Load(); t != nil && t.redactor == before {
		return t, nil
	}
	t, err := p.build(ctx)
	if err != nil {
		return nil, err
	}
	// Asked again, because it must know what was revealed just now. Kept only when nothing has changed meanwhile.
	if t.redactor, err = p.secrets.Redactor(ctx); err != nil {
		return nil, err
	}
	if t.redactor == before {
		p.current.Store(t)
	}
	return t, nil
}

// build makes a template without its redactor.
func (p *settings) build(ctx context.Context) (*requestTemplate, error) {
	t := &requestTemplate{header: maps.Clone(p.header)}
	called, err := p.url.Expand(ctx)
	if err != nil {
		return nil, err
	}
	u, err := netguard.CheckURL("URL", called, p.limits)
	if err != nil {
		return nil, &secret.SourceError{Source: p.maskSources(), Reason: "makes a URL that is not valid"}
	}
	t.request = &http.Request{Method: p.method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	for _, h := range p.sensitive {
		revealed, err := h.Secret.Reveal(ctx)
		if err != nil {
			return nil, err
		}
		value, problem := headerValue(revealed)
		if problem != "" {
			return nil, &secret.SourceError{Source: h.Secret.Source(), Reason: problem}
		}
		t.header[http.CanonicalHeaderKey(h.Name)] = []string{value}
	}
	if p.auth.scheme != none {
		value, err := p.auth.reveal(ctx)
		if err != nil {
			return nil, err
		}
		t.header["Authorization"] = []string{value}
	}
	if t.body, err = p.body.reveal(ctx); err != nil {
		return nil, err
	}
	if t.keys, err = p.signing.reveal(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// maskSources names where the values of the masks come from.
func (p *settings) maskSources() string {
	var sources []string
	for _, m := range p.url.Masks {
		sources = append(sources, m.Value.Source())
	}
	return strings.Join(sources, ", ")
}
