// Package webhook delivers events to any HTTP receiver: it sends the event's JSON form, or what a [Body] makes of it, signs it
// if a receiver wants to know who sent it (see [Sign]), and judges the answer by its status, or by what a receiver puts into
// it (see [Config].Interpret).
//
// One Send is one HTTP/1.1 request over a connection that a netguard.Guard has judged. Redirects are not followed, the
// environment's proxy settings are ignored unless a Config asks for them, cookies are not kept, and nothing is sent a
// second time by itself.
//
// To try a Config on a receiver of your own machine, allow two things on purpose: that it has no TLS, with
// Limits.AllowInsecureHTTP, and its address, with a Guard for netguard.Profile{Loopback: true}.
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
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/retry"
)

// idHeader carries channel.Delivery.ID, as the Standard Webhooks specification names it.
const idHeader = "Webhook-Id"

// Channel delivers to one receiver. Make it with [New]. It is safe for concurrent use and printed without its
// configuration.
type Channel struct {
	private     *private
	method      string
	origin      string
	success     []int
	verdicts    Verdicts
	interpret   func(Answer, Verdict) Reading
	rateLimit   RateLimit
	maxBody     int
	maxResponse int
	unverified  bool
	client      *netguard.Client
}

var (
	_ channel.Channel   = (*Channel)(nil)
	_ channel.Addressed = (*Channel)(nil)
)

// senders is how many connections are kept for later requests: each sender that finds no place in the pool costs the next
// delivery a connection, and on TLS a handshake.
const senders = 256

// New makes a Channel. The error joins a *ConfigError for every problem found. Whether the guard allows the destination
// shows when it is sent to; ask netguard.Guard.CheckHost to know what can be known before.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	u, urlErr := c.static()
	if urlErr == nil && c.Path != nil {
		urlErr = checkPath(u, c.Path, c.Limits)
	}
	header, made, headerErr := buildHeader(c.Headers, c.taken)
	if err := errors.Join(urlErr, c.check(), headerErr, c.Auth.check()); err != nil {
		return nil, err
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = []string{netguard.DefaultUserAgent}
	}
	header["Content-Type"] = []string{c.sentAs()}
	header["Accept-Encoding"] = []string{"identity"} // an answer worth compressing is not worth reading

	client, err := c.Guard.Client(netguard.ClientOptions{
		Limits: c.Limits, TLS: c.TLS, Proxy: c.Proxy, Timeouts: c.Timeouts, Senders: senders,
	})
	if err != nil {
		return nil, within("connection", true, err)
	}
	if c.TLS.InsecureSkipVerify {
		c.Logger.Warn("webhook does not verify the receiver's certificate", "origin", netguard.Origin(u))
	}
	p := newPrivate(c, u, header)
	p.parts = newParts(c, made)
	return &Channel{
		private:     p,
		method:      c.Method,
		origin:      netguard.Origin(u),
		success:     slices.Clone(c.Success),
		verdicts:    c.Verdicts,
		interpret:   c.Interpret,
		rateLimit:   c.RateLimit,
		maxBody:     c.MaxBody,
		maxResponse: c.MaxResponse,
		unverified:  c.TLS.InsecureSkipVerify,
		client:      client,
	}, nil
}

// Send makes one request with d's event: its JSON form, or what Config.Body makes of it. It is a success when the answer's
// status is one of Config.Success, unless Config.Interpret reads something else, and the answer came to its end. Other
// statuses have the verdict of Config.Verdicts and honour what the receiver says about when to come back, up to 24 hours. Failures are *Error values. One without an answer is transient,
// but a refused destination is permanent, and after one over a certificate the next attempt waits for an hour. A request that cannot be made from the event is a permanent error.
//
// The receipt, which is zero when no request could be made, holds the request and the answer up to Config.MaxResponse, without the secrets of the configuration: neither
// where they were sent nor, if they have at least 8 characters, where else they occur in whatever common encoding. An
// answer in a Content-Encoding is not kept. OutcomeUnknown is set when the request was written and the answer did not come,
// or not to its end.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if d.Event.IsZero() {
		return channel.Receipt{}, retry.Permanent(c.newError(KindNoEvent))
	}
	return c.send(ctx, d, c.private.body.source)
}

// SendWith is Send with another body, for channels built on a webhook whose requests depend on more than the event. b has no
// secrets of its own and is sent as the content type that Config says; one that New would refuse is an error of kind
// [KindRender]. d may be without an event when neither Path nor the headers have a template and requests are not signed; the
// request then has no id.
func (c *Channel) SendWith(ctx context.Context, d channel.Delivery, b Body) (channel.Receipt, error) {
	switch p := c.private.parts; {
	case len(b.secrets) > 0:
		return channel.Receipt{}, c.unfit("Body", "has secrets, which only Config.Body may have")
	case d.Event.IsZero() && (b.source == nil || c.private.signing.asked || p != nil && (p.path != nil || len(p.headers) > 0)):
		return channel.Receipt{}, retry.Permanent(c.newError(KindNoEvent))
	}
	if b.source != nil {
		if wrong := b.source.check(c.private.media); wrong != nil {
			return channel.Receipt{}, c.unfit(wrong.Field, wrong.Problem)
		}
	}
	return c.send(ctx, d, b.source)
}

// send makes one request with a body from the given source; nil = the event's JSON.
func (c *Channel) send(ctx context.Context, d channel.Delivery, body bodySource) (channel.Receipt, error) {
	m, err := c.private.model(ctx)
	if err != nil {
		return channel.Receipt{}, c.unready(ctx, err)
	}
	x := &exchange{id: [1]string{d.ID()}}
	if d.Event.IsZero() {
		x.id[0] = ""
	}
	if err := c.render(ctx, m, d, body, &x.rendering); err != nil {
		return channel.Receipt{}, err
	}
	x.hiding = hiding{m.redactor, c.private.parts.redactor(&x.rendering)}
	began := time.Now()
	if err := c.sign(m, x, began); err != nil {
		return channel.Receipt{}, err
	}
	resp, err := c.client.Do(ctx, c.newRequest(m, x)) //nolint:bodyclose // take does, by netguard.ReadBody
	if err != nil {
		n := netguard.Classify(ctx, c.method, c.origin, err, false)
		r := channel.Receipt{Duration: time.Since(began), OutcomeUnknown: n.OutcomeUnknown}
		if x.reader.Len() < len(x.body) { // it was read to be written
			r.Request = c.sent(m, x)
		}
		return r, c.unanswered(n)
	}
	a := c.take(resp, x.hiding, &x.response)
	r := channel.Receipt{
		Status:   a.status,
		Duration: time.Since(began),
		Request:  c.sent(m, x),
		Response: &x.response,
	}
	read := c.read(a)
	r.ProviderID, r.OutcomeUnknown = read.ProviderID, read.OutcomeUnknown
	switch {
	case read.Verdict != Taken:
		return r, c.refused(a, read)
	case a.err != nil:
		r.OutcomeUnknown = true
		return r, c.unfinished(a)
	}
	return r, nil
}

// newRequest makes the request of x.
func (c *Channel) newRequest(m *model, x *exchange) *http.Request {
	req := &x.outgoing
	*req = *m.request
	if x.url != nil {
		req.URL = x.url
	}
	req.Header = maps.Clone(m.header)
	c.private.parts.putHeaders(req.Header, &x.rendering)
	x.putID(req.Header)
	c.private.signing.putSignature(req.Header, x)
	x.reader.Reset(x.body)
	req.Body = io.NopCloser(&x.reader)
	req.ContentLength = int64(len(x.body))
	return req
}

// exchange holds what an attempt needs in memory, in one piece.
type exchange struct {
	rendering
	hiding               hiding
	id                   [1]string
	timestamp, signature [1]string // of Config.Sign
	outgoing             http.Request
	reader               bytes.Reader
	request, response    channel.Message
}

func (x *exchange) putID(header http.Header) {
	if x.id[0] != "" {
		header[idHeader] = x.id[:]
	}
}

func (c *Channel) succeeded(status int) bool {
	if len(c.success) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(c.success, status)
}

// sent describes the request for the receipt.
func (c *Channel) sent(m *model, x *exchange) *channel.Message {
	header := maps.Clone(m.shown)
	c.private.parts.showHeaders(header, &x.rendering, m.redactor)
	x.putID(header)
	c.private.signing.putSignature(header, x)
	x.request = channel.Message{Start: m.start, Header: header, Body: m.redactor.Bytes(x.body)}
	return &x.request
}

// Close closes the connections that no other channel shares and makes later Sends fail. Call it when no Send is running any
// more. It returns nil.
func (c *Channel) Close() error {
	c.client.Close()
	return nil
}

// Format prints method and origin only, whatever the verb, and says so when certificates are not verified.
func (c *Channel) Format(s fmt.State, _ rune) {
	warning := ""
	if c.unverified {
		warning = ", certificates are not verified"
	}
	_, _ = io.WriteString(s, "webhook.Channel("+c.method+" "+c.origin+warning+")")
}

// Destination is the URL's origin, such as "https://hooks.example": its path may be a credential.
func (c *Channel) Destination() string { return c.origin }
