// Package webhook delivers events to any HTTP receiver: it sends the event's JSON form and judges the answer by its
// status.
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
	maxResponse int
	dialer      *dialer
	transport   *http.Transport
}

var _ channel.Channel = (*Channel)(nil)

// private is what must not be printed. Package fmt prints a struct that holds a Channel in an unexported field without
// asking the Channel, and then goes one pointer deep.
type private struct {
	header   http.Header // of every request, without the id
	shown    http.Header // header, redacted
	redactor redactor
}

// New makes a Channel with connections of its own. The error joins a *ConfigError for every problem found.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	u, urlErr := parseURL(c.URL)
	auth := c.Auth.credential()
	header, headerErr := buildHeader(c.Headers, auth.value != "")
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
		private:     &private{header, shown, newRedactor(secrets)},
		start:       c.Method + " " + origin(u),
		origin:      origin(u),
		success:     slices.Clone(c.Success),
		verdicts:    c.Verdicts,
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

// Send makes one request with the JSON form of d's event as its body. It is a success when the answer's status is one of
// Config.Success and the answer came to its end. Other statuses have the verdict of Config.Verdicts and honour a
// Retry-After header, up to 24 hours; without an answer the error is transient. Failures are *Error values.
//
// The receipt holds the request without the URL's path and without credentials, and the answer up to Config.MaxResponse.
// Secrets of the configuration that the receiver repeats as they are and that have at least 8 characters are removed
// from it. OutcomeUnknown is set when the request was written and the answer did not come, or not to its end.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	body := d.Event.JSON()
	if len(body) == 0 {
		return channel.Receipt{}, retry.Permanent(c.newError(KindNoEvent))
	}
	x := &exchange{id: [1]string{d.ID()}}
	x.body.Reset(body)
	p := &progress{Context: ctx}
	req := c.request.WithContext(p)
	req.Header = maps.Clone(c.private.header)
	req.Header[idHeader] = x.id[:]
	req.Body = io.NopCloser(&x.body) // GetBody stays nil, so net/http cannot send the request a second time on its own
	req.ContentLength = int64(len(body))

	began := time.Now()
	// RoundTrip and not Client.Do: no redirects, no cookies, no url.Error.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		s := stageOf(&x.body, len(body))
		r := channel.Receipt{Duration: time.Since(began), OutcomeUnknown: s == whole}
		if s != nothing {
			r.Request = c.sent(x, body)
		}
		return r, c.unanswered(p, s, err)
	}
	a := c.take(resp, &x.response)
	r := channel.Receipt{
		Status:   a.status,
		Duration: time.Since(began),
		Request:  c.sent(x, body),
		Response: &x.response,
	}
	switch {
	case !final(a.status):
		r.OutcomeUnknown = true
		e := c.newError(KindProtocol)
		e.Status = a.status
		return r, e
	case !c.succeeded(a.status):
		return r, c.refused(a)
	case a.err != nil:
		r.OutcomeUnknown = true
		return r, c.unfinished(ctx, a)
	}
	return r, nil
}

// exchange holds what an attempt needs in memory, in one piece.
type exchange struct {
	id                [1]string
	body              bytes.Reader
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
func (c *Channel) sent(x *exchange, body []byte) *channel.Message {
	header := maps.Clone(c.private.shown)
	header[idHeader] = x.id[:]
	x.request = channel.Message{Start: c.start, Header: header, Body: body}
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
