package webhook

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// requestTemplate is what requests are copies of, with the secrets in their places. It is made anew when one of them
// has changed.
type requestTemplate struct {
	redactor    *secret.Redactor // knows every secret in it
	request     *http.Request    // without header and body
	header      http.Header      // of every request, without the id
	bodySecrets []string         // of Config.Body
	keys        []*signature.Key // of Config.Sign
}

// secrets are those of c, whose URL with its replacements is u.
func (c Config) secrets(u *url.URL) *secret.Set {
	values := append(c.maskedURL().Values(), c.Auth.value)
	if len(c.Masks) == 0 && u.RequestURI() != "/" {
		values = append(values, secret.Literal(u.String())) // with all its parts
	}
	for _, h := range c.Headers {
		switch {
		case h.sensitive():
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
	return secret.NewSet(values...)
}

// shownRequest is what receipts show of every request. It is what whoever wrote the configuration wrote openly, so it
// is not searched for secrets: what of a list of guesses is hidden would tell which of them is one.
func (c Config) shownRequest(origin string, header http.Header) channel.Message {
	shown := channel.Message{Start: c.Method + " " + origin, Header: header}
	if len(c.Masks) > 0 {
		shown.Start = c.Method + " " + c.URL
	}
	differs := func(h Header) bool { return h.Template != nil || alwaysSensitive(http.CanonicalHeaderKey(h.Name)) }
	if !slices.ContainsFunc(c.Headers, differs) {
		return shown
	}
	shown.Header = maps.Clone(header)
	for _, h := range c.Headers {
		switch name := http.CanonicalHeaderKey(h.Name); {
		case alwaysSensitive(name):
			shown.Header[name] = []string{secret.Redacted}
		case h.Template != nil:
			delete(shown.Header, name) // until it is made
		}
	}
	return shown
}

// template returns the current request template. The error is a *secret.SourceError, or that of ctx.
func (c *core) template(ctx context.Context) (*requestTemplate, error) {
	before, err := c.secrets.Redactor(ctx)
	if err != nil {
		return nil, err
	}
	if t := c.current.Load(); t != nil && t.redactor == before {
		return t, nil
	}
	t, err := c.newTemplate(ctx)
	if err != nil {
		return nil, err
	}
	// Asked again, because it must know what was revealed just now. Kept only when nothing has changed meanwhile.
	if t.redactor, err = c.secrets.Redactor(ctx); err != nil {
		return nil, err
	}
	if t.redactor == before {
		c.current.Store(t)
	}
	return t, nil
}

// newTemplate makes a request template without its redactor.
func (c *core) newTemplate(ctx context.Context) (*requestTemplate, error) {
	t := &requestTemplate{header: maps.Clone(c.header)}
	called, err := c.config.maskedURL().Expand(ctx)
	if err != nil {
		return nil, err
	}
	u, err := netguard.ParseURL("URL", called, c.config.Limits)
	if err != nil {
		return nil, &secret.SourceError{Source: c.config.maskSources(), Reason: "makes a URL that is not valid"}
	}
	t.request = &http.Request{Method: c.config.Method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	for _, h := range c.config.Headers {
		if !h.sensitive() {
			continue
		}
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
	if c.config.Auth.scheme != none {
		value, err := c.config.Auth.reveal(ctx)
		if err != nil {
			return nil, err
		}
		t.header["Authorization"] = []string{value}
	}
	if t.bodySecrets, err = c.config.Body.reveal(ctx); err != nil {
		return nil, err
	}
	if t.keys, err = c.config.Sign.reveal(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// maskSources names where the values of the masks come from.
func (c Config) maskSources() string {
	var sources []string
	for _, m := range c.Masks {
		sources = append(sources, m.Value.Source())
	}
	return strings.Join(sources, ", ")
}
