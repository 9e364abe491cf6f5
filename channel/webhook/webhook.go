// Package webhook delivers events to any HTTP receiver: it sends the event's JSON form, or what a [Body] makes of it,
// signs it if a receiver wants to know who sent it (see [Sign]), and judges the response by its status, or by what a
// receiver puts into it (see [Config].Interpret).
//
// One Send is one HTTP/1.1 request over a connection that a netguard.Guard has judged. Redirects are not followed, the
// environment's proxy settings are ignored unless a Config asks for them, cookies are not kept, and nothing is sent a
// second time by itself.
//
// # Bodies
//
// Whatever an event says, a body keeps its keys, recipients and links. JSON is never cut in the middle: the longest
// texts of the event are shortened, with a mark, until the body fits MaxBody.
//
//	the event's JSON                           the zero Config
//	JSON of the receiver's own shape           TemplateBody(t), in Handlebars or %%Name%% macros
//	plain text                                 TemplateBody(t), compiled with Mode: template.Text
//	form variables                             FormBody(FormOptions{CustomFields: true})
//	CloudEvents 1.0                            CloudEvents(CloudEventsOptions{Source: …}), structured or Binary
//	flat alerts with 17 fields                 AlertBody()
//	always the same bytes                      StaticBody(b)
//	anything else, or a credential in a body   BodyFunc(contentType, f, secrets...)
//
// A receiver for which nothing but 200 counts has Success: []int{200} and Verdicts: RetryAllButSuccess. One that
// answers 200 {"ok": false} for a failure needs Interpret.
//
// # Signatures
//
// A signature shows the receiver who sent a request, and that nobody changed it. During a rotation there are two keys,
// and each request has both signatures until the old key's NotAfter:
//
//	sign := webhook.Sign(signature.Standard,
//		webhook.SigningKey{Secret: secret.Env("WEBHOOK_SECRET")},
//		webhook.SigningKey{Secret: secret.Env("WEBHOOK_SECRET_OLD"), NotAfter: changeOver})
//
// A receiver in Go verifies with signature.NewVerifier, which needs nothing but the standard library; others have the
// libraries of https://www.standardwebhooks.com. Forms and plain text are signed too, but libraries that return parsed
// JSON refuse them.
//
// # Test events
//
// Every request of a test event (event.Event.IsTest) has the header Tocsin-Test: true. The event's JSON, forms and
// CloudEvents say it too, and the title of a flat alert. Templates see it as the variable test; what a template that
// does not ask for it makes, and a StaticBody, are what they are for any event.
//
// # Trying it
//
// To try a Config on a receiver of your own machine, allow two things on purpose: that it has no TLS, with
// Limits.AllowInsecureHTTP, and its address, with a Guard for netguard.Profile{Loopback: true}.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
)

// Channel delivers to one receiver. Make it with [New]. It is safe for concurrent use, and however it is printed,
// copied or embedded, it shows nothing of its configuration but method and origin.
type Channel struct {
	core func() *core // a function, because package fmt prints what it can reach, copies and unexported fields included
}

// core is what a Channel is made of.
type core struct {
	config        Config // with its defaults
	origin        string
	media         string           // type of the body, without parameters
	header        http.Header      // of every request; sensitive values are secret.Redacted
	templates     []headerTemplate // of the headers that have one
	shown         channel.Message  // what receipts show of every request: the start line, and a header that is not modified
	proxyPassword secret.Value     // zero = none
	secrets       *secret.Set
	current       atomic.Pointer[requestTemplate]
	client        *netguard.Client
}

var (
	_ channel.Channel   = (*Channel)(nil)
	_ channel.Addressed = (*Channel)(nil)
	_ fmt.Formatter     = Channel{}
)

// New makes a Channel. The error joins a *channel.ConfigError for every problem found. Whether the guard allows the
// destination shows when it is sent to; ask netguard.Guard.CheckHost to know what can be known before.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	u, urlErr := c.parsedURL()
	header, templates, headerErr := c.fixedHeader()
	client, clientErr := c.Guard.Client(netguard.ClientOptions{
		Limits: c.Limits, TLS: c.TLS, Proxy: c.Proxy, Timeouts: c.Timeouts,
	})
	if err := errors.Join(urlErr, c.validate(u), headerErr, c.Auth.validate(), relabel(clientErr)); err != nil {
		if client != nil {
			client.Close()
		}
		return nil, err
	}
	k := &core{config: c, origin: netguard.Origin(u), header: header, templates: templates, client: client}
	k.media, _, _ = mime.ParseMediaType(c.contentType()) // it has been validated
	if c.Proxy != nil {
		k.proxyPassword = c.Proxy.Password
	}
	k.secrets = c.secrets(u)
	k.shown = c.shownRequest(k.origin, header)
	if c.TLS.InsecureSkipVerify {
		c.Logger.Warn("webhook does not verify the receiver's certificate", "origin", k.origin)
	}
	return &Channel{func() *core { return k }}, nil
}

// Send makes one request with d's event: its JSON form, or what Config.Body makes of it. It is a success when the
// answer's status is one of Config.Success, unless Config.Interpret reads something else; without Interpret it need not
// come to its end. Other statuses have the verdict of Config.Verdicts. A pause that the receiver asks for is honoured
// up to 24 hours, a longer one is cut to that: with 429, or 503 and a time, for all deliveries (retry.Throttle),
// otherwise for this one. After 401, 403 and 407 the credentials are asked for again at the next attempt.
//
// Failures are *Error values. One without a response is transient, but a refused destination is permanent, and after
// one over a certificate the next attempt waits for an hour. A request that cannot be made from the event is a
// permanent error. Config.Timeouts.Total covers all of an attempt: the credentials, what templates make, the signature
// and the exchange.
//
// The receipt holds the request, also one that was not sent, as far as it was made, and the response up to
// Config.MaxResponse, decoded if it is in gzip or deflate; a response in another Content-Encoding is not kept. They are
// without the secrets of the configuration: neither where they were sent nor, if they have at least 8 characters, where
// else they occur in whatever common encoding. But what whoever wrote the configuration has written openly, in a
// header's Value, a static body or a template, is shown as it was written. OutcomeUnknown is set when the request was
// written and the response did not come, or not to its end though Config.Interpret needs that.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	k := c.core()
	if d.Event.IsZero() {
		return channel.Receipt{}, retry.Permanent(k.newError(KindNoEvent))
	}
	return k.send(ctx, d, k.config.Body.sourceOrEvent())
}

// SendWith is Send with another body, for channels built on a webhook whose requests depend on more than the event. b
// has no secrets of its own and is sent as the content type that Config says; one that New would refuse is an error of
// kind [KindRender]. d may be without an event when neither Path nor the headers have a template and requests are not
// signed; the request then has no id.
func (c *Channel) SendWith(ctx context.Context, d channel.Delivery, b Body) (channel.Receipt, error) {
	k := c.core()
	needsEvent := b.source == nil || k.config.Sign.enabled || k.config.Path != nil || len(k.templates) > 0
	switch {
	case len(b.secrets) > 0:
		return channel.Receipt{}, k.renderError("Body", "has secrets, which only Config.Body may have")
	case d.Event.IsZero() && needsEvent:
		return channel.Receipt{}, retry.Permanent(k.newError(KindNoEvent))
	}
	source := b.sourceOrEvent()
	if wrong, ok := errors.AsType[*channel.ConfigError](source.validate(k.media)); ok {
		return channel.Receipt{}, k.renderError(wrong.Path, wrong.Problem)
	}
	return k.send(ctx, d, source)
}

// Close closes the connections that no other channel shares and makes later Sends fail. Call it when no Send is running
// any more. It returns nil.
func (c *Channel) Close() error {
	c.core().client.Close()
	return nil
}

// Format prints method and origin only, whatever the verb, and says so when certificates are not verified.
func (c Channel) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints.
func (c Channel) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c Channel) outline() string {
	if c.core == nil {
		return "webhook.Channel()"
	}
	k, warning := c.core(), ""
	if k.config.TLS.InsecureSkipVerify {
		warning = ", certificates are not verified"
	}
	return "webhook.Channel(" + k.config.Method + " " + k.origin + warning + ")"
}

// Destination is the URL's origin, such as "https://hooks.example": its path may be a credential.
func (c *Channel) Destination() string { return c.core().origin }
