package webhook

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
)

// idHeader carries channel.Delivery.ID, as the Standard Webhooks specification names it. testHeader is "true" for a
// test event, whatever the body.
const (
	idHeader   = "Webhook-Id"
	testHeader = "Tocsin-Test"
)

// attempt is one Send.
type attempt struct {
	delivery channel.Delivery
	source   bodySource
	template *requestTemplate // nil = there are no credentials
	rendered
	id, test, timestamp, signature [1]string // of the header
	request                        http.Request
	reader                         bytes.Reader
	sent, received                 channel.Message // for the receipt
}

// send makes one request with a body from the given source.
func (c *core) send(ctx context.Context, d channel.Delivery, source bodySource) (channel.Receipt, error) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(c.config.Timeouts.Total))
	defer cancel()
	a := &attempt{delivery: d, source: source}
	if !d.Event.IsZero() {
		a.id[0] = d.ID()
	}
	if d.Event.IsTest() {
		a.test[0] = "true"
	}
	if err := c.prepare(ctx, a, began); err != nil {
		return channel.Receipt{Duration: time.Since(began), Request: c.describe(a)}, err
	}
	resp, err := c.client.Do(ctx, c.newRequest(a)) //nolint:bodyclose // readResponse does, by netguard.ReadBody
	if err != nil {
		n := netguard.Classify(ctx, c.config.Method, c.origin, err, false)
		r := channel.Receipt{Duration: time.Since(began), Request: c.describe(a), OutcomeUnknown: n.OutcomeUnknown}
		return r, c.exchangeError(ctx, n)
	}
	answer := c.readResponse(resp, secret.Join(a.template.redactor, c.renderedSecrets(a)), &a.received)
	reading := c.interpret(answer)
	r := channel.Receipt{
		ProviderID:     reading.ProviderID,
		Status:         answer.Status,
		Duration:       time.Since(began),
		Request:        c.describe(a),
		Response:       &a.received,
		OutcomeUnknown: reading.OutcomeUnknown,
	}
	switch {
	case reading.Verdict == retry.VerdictSuccess:
		return r, nil
	case !answer.complete && c.succeeded(answer.Status):
		r.OutcomeUnknown = true
		return r, c.incompleteError(answer)
	default:
		return r, c.statusError(answer, reading)
	}
}

// prepare makes everything of a request.
func (c *core) prepare(ctx context.Context, a *attempt, now time.Time) error {
	t, err := c.template(ctx)
	if err != nil {
		return c.credentialError(ctx, err)
	}
	a.template = t
	if err := c.render(ctx, a); err != nil {
		return err
	}
	return c.sign(a, now)
}

// newRequest makes the request of a.
func (c *core) newRequest(a *attempt) *http.Request {
	req := &a.request
	*req = *a.template.request
	if a.url != nil {
		req.URL = a.url
	}
	req.Header = maps.Clone(a.template.header)
	for i, h := range c.templates {
		req.Header[h.name] = a.values[i : i+1 : i+1]
	}
	for i := range a.headers {
		req.Header[a.headers[i].name] = a.headers[i].value[:]
	}
	a.identify(req.Header)
	c.config.Sign.setSignature(req.Header, a)
	a.reader.Reset(a.body)
	req.Body = io.NopCloser(&a.reader)
	req.ContentLength = int64(len(a.body))
	return req
}

// identify sets what says which delivery a request is, and that it is a test.
func (a *attempt) identify(header http.Header) {
	if a.id[0] != "" {
		header[idHeader] = a.id[:]
	}
	if a.test[0] != "" {
		header[testHeader] = a.test[:]
	}
}

// describe returns the request for the receipt, as far as it has been made, without secrets.
func (c *core) describe(a *attempt) *channel.Message {
	a.sent = channel.Message{Start: c.shown.Start, Header: maps.Clone(c.shown.Header)}
	a.identify(a.sent.Header)
	if a.template == nil {
		return &a.sent
	}
	redactor := a.template.redactor
	// What a template writes openly is shown, unless the event holds a secret that the template may have repeated.
	fromEvent := c.dependsOnEvent(a.source) && redactor.Has(a.delivery.Event.JSON())
	show := func(name, value string) {
		if fromEvent {
			value = redactor.String(value)
		}
		a.sent.Header[name] = []string{value}
	}
	for i, value := range a.values {
		if h := c.templates[i]; !h.sensitive {
			show(h.name, value)
		}
	}
	for _, h := range a.headers {
		show(h.name, h.value[0])
	}
	if a.signature[0] != "" {
		c.config.Sign.setSignature(a.sent.Header, a)
	}
	body := a.body
	if a.source.mayHoldSecrets(fromEvent) {
		body = redactor.Bytes(body)
	}
	if len(a.body) > c.config.MaxBody { // it was not sent
		body, a.sent.Truncated = body[:min(len(body), c.config.MaxResponse)], true
	}
	a.sent.Body = body
	return &a.sent
}

// dependsOnEvent reports whether more of a request comes from the event than its JSON.
func (c *core) dependsOnEvent(source bodySource) bool {
	return len(c.templates) > 0 || source.mayHoldSecrets(true) && !source.mayHoldSecrets(false)
}
