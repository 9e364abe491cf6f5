package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// Channel delivers mail through one relay. Make it with [New]. It is safe for concurrent use and printed without its
// configuration.
type Channel struct {
	mailer func() *mailer // a function, because package fmt follows a pointer in a copy or an unexported field
}

var (
	_ channel.Channel = (*Channel)(nil)
	_ channel.Checker = (*Channel)(nil)
	_ io.Closer       = (*Channel)(nil)
)

// mailer is what must not be printed.
type mailer struct {
	address  string // host:port
	timeout  time.Duration
	composer *composer
	pool     *pool
	progress Progress
	secrets  *secret.Set
	logger   *slog.Logger
}

// New makes a Channel. The error joins a *channel.ConfigError for every problem found. It opens no connection;
// [Channel.Check] does.
func New(c Config) (*Channel, error) {
	c = c.withDefaults()
	l, composerErr := newComposer(&c)
	d, relayErr := newDialer(&c, l.domain)
	if err := errors.Join(c.validate(), relayErr, composerErr); err != nil {
		return nil, err
	}
	if c.Relay.TLS.InsecureSkipVerify {
		c.Logger.Warn("email does not verify the relay's certificate", "relay", d.address)
	}
	m := &mailer{
		address:  d.address,
		timeout:  c.Timeout,
		composer: l,
		pool:     newPool(d),
		progress: c.Progress,
		secrets:  secret.NewSet(c.Relay.Auth.value),
		logger:   c.Logger,
	}
	return &Channel{func() *mailer { return m }}, nil
}

// Send makes one attempt to mail d's event. Failures are *Error values. A 4yz reply of the relay is transient, and when
// it is about a recipient or the message, the next attempt waits for at least 5 minutes, as greylisting wants it. A 5yz
// reply about a recipient or the message is permanent. One before that is about us, not about the event, and transient:
// after 530, 534, 535 or 538 the credential is asked for again, after others, as after missing TLS or a failure over
// certificates, the next attempt waits for an hour. 421, and 450 before a recipient was named, hold up all mail to the
// relay (retry.Throttle); 521, by which a host says that it takes no mail at all, is channel.ErrGone. A failure without
// a reply is transient, but a refused address is permanent. A mail that cannot be made from the event is a permanent
// error, and nothing is sent.
//
// The receipt holds the message, also when it could not be sent, and the relay's last reply, without the credentials of
// the configuration in any common encoding. Its Status is that reply's code. OutcomeUnknown is set when the message was
// sent to its end and no answer came, Skipped when a redelivery has reached all recipients meanwhile.
func (c *Channel) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	m := c.mailer()
	if d.Event.IsZero() {
		return channel.Receipt{}, m.permanent(KindNoEvent, "")
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	mail, err := m.composer.compose(ctx, d)
	if err != nil {
		return channel.Receipt{Request: m.request(nil)}, m.renderError(ctx, err)
	}
	credential, red, err := m.credential(ctx)
	if err != nil {
		return channel.Receipt{Request: m.request(nil)}, m.credentialError(ctx, err) // without its body: it cannot be redacted
	}
	s := m.load(ctx, d)
	if s.startAttempt(d.Generation) {
		return channel.Receipt{Skipped: true}, nil
	}
	return m.deliver(ctx, d, mail, s, credential, red)
}

// deliver sends a mail to the recipients that do not have it yet.
func (m *mailer) deliver(ctx context.Context, d channel.Delivery, mail *message, s *mailState, credential string, red redaction) (channel.Receipt, error) {
	began := time.Now()
	t := transaction{from: m.composer.from, message: mail.wire, shorter: mail.shorter, credential: credential}
	t.run(ctx, m.pool, s.pending(mail.recipients, d.Generation))
	r := channel.Receipt{Duration: time.Since(began), Request: m.request(red.redactor.Bytes(t.message))}
	t.describeReply(&r, red)
	if t.failure != nil {
		r.OutcomeUnknown = t.failure.outcomeUnknown()
		return r, m.failureError(ctx, t.failure, red)
	}
	s.add(mail.recipients, t.states, d.Generation)
	return r, m.conclude(ctx, d, s, mail.recipients)
}

// Check connects to the relay, logs in and asks whether it would take mail from Config.From, without sending any. It
// returns nil, or an *Error with the relay's reply, without credentials.
func (c *Channel) Check(ctx context.Context) error {
	m := c.mailer()
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	credential, red, err := m.credential(ctx)
	if err != nil {
		return m.credentialError(ctx, err)
	}
	t := transaction{from: m.composer.from, credential: credential}
	t.run(ctx, m.pool, nil)
	if t.failure != nil {
		return m.failureError(ctx, t.failure, red)
	}
	return nil
}

// Close closes the connections that are kept for later mails, and makes later Sends close theirs when they are done. It
// returns nil.
func (c *Channel) Close() error {
	c.mailer().pool.close()
	return nil
}

// Destination is the relay's host and port.
func (c *Channel) Destination() string { return c.mailer().address }

// Format prints the relay's address only, whatever the verb, and says so when certificates are not verified.
func (c Channel) Format(s fmt.State, _ rune) {
	if c.mailer == nil {
		_, _ = io.WriteString(s, "email.Channel()")
		return
	}
	m := c.mailer()
	_, _ = io.WriteString(s, "email.Channel("+m.address+m.pool.dialer.warning()+")")
}

func joinPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
