// Package email delivers events as mail through an SMTP relay: plain text and HTML, to fixed recipients and to such that an
// event names.
//
// One Send is one message in one SMTP transaction, over a connection that a netguard.Guard has judged. TLS is required
// unless a Relay says otherwise, and no credential is sent without it. github.com/wneessen/go-mail formats the message and
// speaks SMTP; addresses, header values and the finished bytes are checked here.
//
// # Recipients
//
// Each recipient has an outcome of its own: when the relay refuses one, the others get the mail all the same. Send then
// returns an error that says which were refused. If one of them may succeed later (a 4yz reply, as greylisting gives), the
// attempt counts as transient, and the next attempt is for those only that have not got the mail: a Channel remembers this
// for up to 1,024 such deliveries. It does so in memory. After a restart of the process, or when the relay took the mail but
// its answer was lost, a recipient may get it twice, with the same Message-ID, by which most mailboxes tell.
//
// A computed recipient whose template makes nothing is left out, for example an approver that is not known yet. One that is
// no address counts as refused for good. When no recipient is left, the delivery fails for good.
//
// # Only for some events
//
// Whether an event is to be mailed at all is the route's business, not the channel's. "Require external key" is the filter
// event.WithAttribute("external_key"): attributes are part of the event, so that it sees them as they were when the event
// occurred.
//
// # Connections
//
// Up to 4 connections are kept for 10 seconds, so that a burst does not pay for a handshake and a log-in each. One is not
// used again when it does not answer, when the credential has changed or when the guard's policy no longer allows it.
//
// # Threads
//
// Mails about one subject of a tenant refer to the same thread, whatever the route and whichever came first, and need no
// stored state for it. Gmail joins them only if their Subject is the same as well: use one that depends on the request
// alone, such as "Access request {{data.friendly_id}}", where that matters.
package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Channel delivers mail through one relay. Make it with [New]. It is safe for concurrent use and printed without its
// configuration.
type Channel struct {
	private *private
}

var (
	_ channel.Channel = (*Channel)(nil)
	_ channel.Checker = (*Channel)(nil)
	_ io.Closer       = (*Channel)(nil)
)

// private is what must not be printed: package fmt looks one pointer deep into a Channel that is in an unexported field.
type private struct {
	address  string // host:port
	timeout  time.Duration
	letter   *letter
	pool     *pool
	progress progress
	secrets  *secret.Set
}

// New makes a Channel. The error joins a *ConfigError for every problem found. It opens no connection; [Channel.Check]
// does.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	l, letterErr := newLetter(&c)
	d, relayErr := newDialer(&c, l.domain)
	if err := errors.Join(c.check(), relayErr, letterErr); err != nil {
		return nil, err
	}
	if c.Relay.TLS.InsecureSkipVerify {
		c.Logger.Warn("email does not verify the relay's certificate", "relay", d.address)
	}
	return &Channel{&private{
		address: d.address,
		timeout: c.Timeout,
		letter:  l,
		pool:    newPool(d),
		secrets: secret.NewSet(c.Relay.Auth.value),
	}}, nil
}

// Send makes one attempt to mail d's event. Failures are *Error values. A 4yz reply of the relay is transient, and when it
// is about a recipient or the message, the next attempt waits for at least 5 minutes, as greylisting wants it. A 5yz reply
// about a recipient or the message is permanent. One before that is about us, not about the event, and transient: after 530,
// 534, 535 or 538 the credential is asked for again, after others, as after missing TLS or a failure over certificates, the
// next attempt waits for an hour. 421, and 450 before a recipient was named, hold up all mail to the relay (retry.Throttle);
// 521, by which a host says that it takes no mail at all, is channel.ErrGone. A failure without a reply is transient, but
// a refused address is permanent. A mail that cannot be made from the event is a permanent error, and nothing is sent.
//
// The receipt holds the message and the relay's last reply, without the credentials of the configuration in any common
// encoding. Its Status is that reply's code. OutcomeUnknown is set when the message was sent to its end and no answer came.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	p := c.private
	if d.Event.IsZero() {
		return channel.Receipt{}, p.permanent(KindNoEvent, "")
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	m, err := p.letter.write(ctx, d)
	if err != nil {
		return channel.Receipt{}, p.unwritten(ctx, err)
	}
	credential, hide, err := p.credential(ctx)
	if err != nil {
		return channel.Receipt{}, p.unready(ctx, err)
	}
	key := progressKey(d)
	state := p.progress.load(key)

	began := time.Now()
	t := transaction{from: p.letter.from, message: m.wire, credential: credential}
	t.run(ctx, p.pool, state.pending(m.recipients))
	r := channel.Receipt{Duration: time.Since(began)}
	t.describe(&r, p.address, hide)
	if t.failure != nil {
		r.OutcomeUnknown = t.failure.unknown()
		return r, p.failed(ctx, t.failure, hide)
	}
	maps.Copy(state, t.outcomes)
	return r, p.settle(key, state, m)
}

// Check connects to the relay, logs in and asks whether it would take mail from Config.From, without sending any. It
// returns nil, or an *Error with the relay's reply, without credentials.
func (c *Channel) Check(ctx context.Context) error {
	p := c.private
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	credential, hide, err := p.credential(ctx)
	if err != nil {
		return p.unready(ctx, err)
	}
	t := transaction{from: p.letter.from, credential: credential}
	t.run(ctx, p.pool, nil)
	if t.failure != nil {
		return p.failed(ctx, t.failure, hide)
	}
	return nil
}

// Close closes the connections that are kept for later mails, and makes later Sends close theirs when they are done. It
// returns nil.
func (c *Channel) Close() error {
	c.private.pool.close()
	return nil
}

// Destination is the relay's host and port.
func (c *Channel) Destination() string { return c.private.address }

// Format prints the relay's address only, whatever the verb, and says so when certificates are not verified.
func (c *Channel) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "email.Channel("+c.private.address+c.private.pool.dialer.warning()+")")
}

func joinPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
