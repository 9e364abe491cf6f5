// Package webhook delivers events to any HTTP receiver: it sends the event's JSON form, or what templates make of it, and
// judges the answer by its status.
//
// One Send is one HTTP/1.1 request. Redirects are not followed, the environment's proxy settings are ignored, cookies are
// not kept, and nothing is sent a second time by itself.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/retry"
)

const userAgent = "tocsin/0.1"

// idHeader carries channel.Delivery.ID, as the Standard Webhooks specification names it.
const idHeader = "Webhook-Id"

// Channel delivers to one receiver. Make it with [New]. It is safe for concurrent use and printed without its
// configuration.
type Channel struct {
	request     *http.Request // the model of every request
	private     *private
	start       string // of every receipt's request
	origin      string
	success     []int
	verdicts    Verdicts
	maxBody     int
	maxResponse int
	dialer      *dialer
	transport   *http.Transport
}

var _ channel.Channel = (*Channel)(nil)

// private is what must not be printed. Package fmt prints a struct that holds a Channel in an unexported field without
// asking the Channel, and then goes one pointer deep.
type private struct {
	header    http.Header // of every request, without the id and what templates make
	shown     http.Header // header, redacted
	redactor  redactor
	templates *templates // nil = none
}

// New makes a Channel with connections of its own. The error joins a *ConfigError for every problem found.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	u, urlErr := parseURL(c.URL)
	auth := c.Auth.credential()
	if urlErr == nil && c.Path != nil {
		urlErr = checkPath(u, c.Path)
	}
	header, made, headerErr := buildHeader(c.Headers, auth.value != "")
	if err := errors.Join(urlErr, c.check(), headerErr, auth.err); err != nil {
		return nil, err
	}
	if auth.value != "" {
		header["Authorization"] = []string{auth.value}
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = []string{userAgent}
	}
	header["Content-Type"] = []string{"application/json"}
	header["Accept-Encoding"] = []string{"identity"} // an answer worth compressing is not worth reading

	request, err := http.NewRequestWithContext(context.Background(), c.Method, u.String(), nil)
	if err != nil {
		return nil, &ConfigError{"URL", "cannot be used in a request", "check its host and path"}
	}
	shown, secrets := redactedHeader(header, c.Headers)
	secrets = append(append(secrets, auth.secrets...), urlSecrets(u)...)
	d := newDialer(c.Timeouts)
	return &Channel{
		request:     request,
		private:     &private{header, shown, newRedactor(secrets), newTemplates(c, made)},
		start:       c.Method + " " + origin(u),
		origin:      origin(u),
		success:     slices.Clone(c.Success),
		verdicts:    c.Verdicts,
		maxBody:     c.MaxBody,
		maxResponse: c.MaxResponse,
		dialer:      d,
		transport:   newTransport(d, c.Timeouts.Header),
	}, nil
}

// redactedHeader returns header as receipts may show it, and the values it hides.
func redactedHeader(header http.Header, given []Header) (shown http.Header, secrets []string) {
	shown = maps.Clone(header)
	hide := func(name string) {
		secrets = append(secrets, header[name]...)
		shown[name] = []string{masked}
	}
	for _, h := range given {
		if h.Sensitive {
			hide(http.CanonicalHeaderKey(h.Name))
		}
	}
	for name := range header {
		if alwaysSensitive(name) {
			hide(name)
		}
	}
	return shown, secrets
}

// Send makes one request with d's event: its JSON form, or what Config.Body makes of it. It is a success when the
// answer's status is one of Config.Success and the answer came to its end. Other statuses have the verdict of
// Config.Verdicts and honour a Retry-After header, up to 24 hours; without an answer the error is transient. A request that
// cannot be made from the event is a permanent error. Failures are *Error values.
//
// The receipt holds the request without the URL's path and without credentials, and the answer up to Config.MaxResponse;
// it is zero when no request could be made. Secrets of the configuration, and of what templates made, that the receiver
// repeats as they are and that have at least 8 characters are removed from it. OutcomeUnknown is set when the request was
// written and the answer did not come, or not to its end.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if d.Event.IsZero() {
		return channel.Receipt{}, retry.Permanent(c.newError(KindNoEvent))
	}
	r, err := c.render(ctx, d.Event)
	if err != nil {
		return channel.Receipt{}, err
	}
	x := &exchange{id: [1]string{d.ID()}, rendering: r}
	p := &progress{Context: ctx}
	req := c.newRequest(p, x)

	began := time.Now()
	// RoundTrip and not Client.Do: no redirects, no cookies, no url.Error.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		s := stageOf(&x.reader, len(x.body))
		receipt := channel.Receipt{Duration: time.Since(began), OutcomeUnknown: s == whole}
		if s != nothing {
			receipt.Request = c.sent(x)
		}
		return receipt, c.unanswered(p, s, err)
	}
	a := c.take(resp, x)
	receipt := channel.Receipt{
		Status:   a.status,
		Duration: time.Since(began),
		Request:  c.sent(x),
		Response: &x.response,
	}
	switch {
	case !final(a.status):
		receipt.OutcomeUnknown = true
		e := c.newError(KindProtocol)
		e.Status = a.status
		return receipt, e
	case !c.succeeded(a.status):
		return receipt, c.refused(a)
	case a.err != nil:
		receipt.OutcomeUnknown = true
		return receipt, c.unfinished(ctx, a)
	}
	return receipt, nil
}

// newRequest makes the request of x.
func (c *Channel) newRequest(p *progress, x *exchange) *http.Request {
	req := c.request.WithContext(p)
	if x.url != nil {
		req.URL = x.url
	}
	req.Header = maps.Clone(c.private.header)
	c.private.templates.putHeaders(req.Header, &x.rendering, false)
	req.Header[idHeader] = x.id[:]
	x.reader.Reset(x.body)
	req.Body = io.NopCloser(&x.reader) // GetBody stays nil, so net/http cannot send the request a second time on its own
	req.ContentLength = int64(len(x.body))
	return req
}

// exchange holds what an attempt needs in memory, in one piece.
type exchange struct {
	rendering
	id                [1]string
	reader            bytes.Reader
	request, response channel.Message
}

// final tells whether a status can end an exchange (RFC 9110 section 15). net/http also returns 101 and numbers that are
// no status.
func final(status int) bool { return status >= 200 && status <= 599 }

func (c *Channel) succeeded(status int) bool {
	if len(c.success) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(c.success, status)
}

// sent describes the request for the receipt.
func (c *Channel) sent(x *exchange) *channel.Message {
	header := maps.Clone(c.private.shown)
	c.private.templates.putHeaders(header, &x.rendering, true)
	header[idHeader] = x.id[:]
	x.request = channel.Message{Start: c.start, Header: header, Body: x.body}
	return &x.request
}

// Close closes the connections that are not in use. Call it when no Send is running any more; a later Send opens new
// connections. It returns nil.
func (c *Channel) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Format prints method and origin only, whatever the verb.
func (c *Channel) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "webhook.Channel("+c.start+")")
}
