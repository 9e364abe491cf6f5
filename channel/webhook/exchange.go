package webhook

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
)

// idHeader carries channel.Delivery.ID, as the Standard Webhooks specification names it.
const idHeader = "Webhook-Id"

// exchange holds what an attempt needs in memory, in one piece.
type exchange struct {
	rendering
	id                   [1]string
	timestamp, signature [1]string // of Config.Sign
	outgoing             http.Request
	reader               bytes.Reader
	request, response    channel.Message
}

// send makes one request with a body from the given source; nil = the event's JSON.
func (c *core) send(ctx context.Context, d channel.Delivery, body bodySource) (channel.Receipt, error) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(c.total))
	defer cancel()
	x := &exchange{id: [1]string{d.ID()}}
	if d.Event.IsZero() {
		x.id[0] = ""
	}
	t, err := c.prepare(ctx, d, body, x, began)
	if err != nil {
		return channel.Receipt{Duration: time.Since(began), Request: c.show(t, d, body, x)}, err
	}
	resp, err := c.client.Do(ctx, c.newRequest(t, x)) //nolint:bodyclose // take does, by netguard.ReadBody
	if err != nil {
		n := netguard.Classify(ctx, c.method, c.origin, err, false)
		r := channel.Receipt{Duration: time.Since(began), Request: c.show(t, d, body, x), OutcomeUnknown: n.OutcomeUnknown}
		return r, c.exchangeError(n)
	}
	a := c.take(resp, secret.Join(t.redactor, c.settings.parts.redactor(&x.rendering)), &x.response)
	read := c.read(a)
	r := channel.Receipt{
		ProviderID:     read.ProviderID,
		Status:         a.status,
		Duration:       time.Since(began),
		Request:        c.show(t, d, body, x),
		Response:       &x.response,
		OutcomeUnknown: read.OutcomeUnknown,
	}
	switch {
	case read.Verdict == retry.VerdictSuccess:
		return r, nil
	case !a.complete && c.succeeded(a.status):
		r.OutcomeUnknown = true
		return r, c.unknownError(a)
	default:
		return r, c.answerError(a, read)
	}
}

// prepare makes everything of a request. The template is nil when there are no credentials.
func (c *core) prepare(ctx context.Context, d channel.Delivery, body bodySource, x *exchange, now time.Time) (*requestTemplate, error) {
	t, err := c.settings.template(ctx)
	if err != nil {
		return nil, c.credentialError(ctx, err)
	}
	if err := c.render(ctx, t, d, body, &x.rendering); err != nil {
		return t, err
	}
	return t, c.sign(t, x, now)
}

// newRequest makes the request of x.
func (c *core) newRequest(t *requestTemplate, x *exchange) *http.Request {
	req := &x.outgoing
	*req = *t.request
	if x.url != nil {
		req.URL = x.url
	}
	req.Header = maps.Clone(t.header)
	c.settings.parts.putHeaders(req.Header, &x.rendering)
	x.putID(req.Header)
	c.settings.signing.putSignature(req.Header, x)
	x.reader.Reset(x.body)
	req.Body = io.NopCloser(&x.reader)
	req.ContentLength = int64(len(x.body))
	return req
}

func (x *exchange) putID(header http.Header) {
	if x.id[0] != "" {
		header[idHeader] = x.id[:]
	}
}

func (c *core) succeeded(status int) bool {
	if len(c.success) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(c.success, status)
}

// show describes the request for the receipt, as far as it has been made. t is nil when there are no credentials.
func (c *core) show(t *requestTemplate, d channel.Delivery, body bodySource, x *exchange) *channel.Message {
	header := maps.Clone(c.settings.shown)
	x.putID(header)
	x.request = channel.Message{Start: c.settings.start, Header: header}
	if t == nil {
		return &x.request
	}
	fromEvent := c.settings.parts.dependsOnEvent(body) && t.redactor.Has(d.Event.JSON())
	c.settings.parts.showHeaders(header, &x.rendering, t.redactor, fromEvent)
	if x.signature[0] != "" {
		c.settings.signing.putSignature(header, x)
	}
	shown := x.body
	if body == nil || body.mayHold(fromEvent) {
		shown = t.redactor.Bytes(shown)
	}
	if len(x.body) > c.maxBody { // it was not sent
		shown, x.request.Truncated = shown[:min(len(shown), c.maxResponse)], true
	}
	x.request.Body = shown
	return &x.request
}
