package email

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

const (
	// relayPause is the least pause after an attempt that failed for a certificate, for lack of TLS, or because the relay
	// refuses us: people correct that, so trying every few minutes is noise, and giving up would lose what could still be
	// delivered.
	relayPause = time.Hour
	// greylistPause is the least pause after a 4yz reply about a recipient or a message. Greylisting (RFC 6647) wants to
	// see a sender come back, but not at once, and takes the impatient for spammers.
	greylistPause = 5 * time.Minute
)

func (m *mailer) permanent(k Kind, detail string) error {
	return retry.Permanent(&Error{Kind: k, Relay: m.address, detail: detail})
}

// failed makes the error for an attempt that failed as a whole. ctx is the attempt's, whose end explains a closed
// connection.
func (m *mailer) failed(ctx context.Context, f *failure, hide hiding) error {
	e := &Error{Kind: f.kind, Stage: f.stage, Relay: m.address}
	switch f.kind {
	case KindNoTLS, KindPlaintextAuth, KindNoAuth:
		return retry.Delay(e, relayPause)
	case KindTooLarge:
		return retry.Permanent(e)
	default: // as the reply or the error says
	}
	if r, ok := f.reply(); ok {
		return m.answered(e, r, hide)
	}
	n := netguard.Classify(ctx, "", "", f.err, f.unknown())
	e.Kind, e.cause = n.Kind, n
	if errors.Is(n, netguard.ErrDestinationBlocked) {
		// The error itself may be seen by whoever configured the relay, and must not tell this.
		m.logger.WarnContext(ctx, "email may not connect to the relay", "relay", m.address, "detail", n.Detail())
	}
	switch n.Kind {
	case netguard.KindBlocked:
		return retry.Permanent(e)
	case netguard.KindTLSCert, netguard.KindTLSClientCert:
		return retry.Delay(e, relayPause)
	default:
		return e
	}
}

// answered makes the error for a reply.
func (m *mailer) answered(e *Error, r reply, hide hiding) error {
	e.Kind, e.Code, e.Enhanced = KindReply, r.Code, r.enhanced()
	if !e.Stage.aboutMail() {
		e.detail = hide.words(r)
	}
	switch {
	case r.Code == 521 && e.Stage == StageGreeting: // RFC 7504: this host never takes mail
		e.cause = channel.ErrGone
		return retry.Permanent(e)
	case r.Code == 421, r.Code == 450 && !e.Stage.aboutMail(): // too busy, or too much from us
		return retry.Throttle(e, 0)
	case e.Stage.aboutMail() && !r.transient():
		return retry.Permanent(e)
	case e.Stage.aboutMail():
		return retry.Delay(e, greylistPause)
	case r.unauthorized():
		m.pool.dialer.auth.value.Expire() // it may have been rotated
		return e
	case !r.transient():
		return retry.Delay(e, relayPause)
	default:
		return e
	}
}

// settle makes the error for a mail of which each recipient has an outcome, nil if all have it, and stores what is to
// be known later: of a mail that all got at once, nothing.
func (m *mailer) settle(ctx context.Context, d channel.Delivery, s *standing, to []recipient) error {
	e := &Error{Kind: KindRecipients, Stage: StageRcpt, Relay: m.address}
	again, some := false, false
	for _, r := range to {
		o := s.of(r)
		if r.address != "" && o.State == taken {
			some = true
			continue
		}
		e.Refusals = append(e.Refusals, Refusal{r.field, o.Code, o.Enhanced, o.State == deferred})
		again = again || o.State == deferred
	}
	s.Done = len(e.Refusals) == 0
	if s.stored || !s.Done && (again || some) {
		m.store(ctx, d, s)
	}
	switch {
	case again:
		return retry.Delay(e, greylistPause)
	case !s.Done:
		return retry.Permanent(e)
	}
	return nil
}

// renderError makes the error for a mail that could not be made.
func (m *mailer) renderError(ctx context.Context, err error) error {
	if errors.Is(err, errNoRecipient) {
		return m.permanent(KindNoRecipient, "")
	}
	r, ok := errors.AsType[*template.RenderError](err)
	switch {
	case ok && r.Kind == template.KindContext && errors.Is(ctx.Err(), context.Canceled):
		return m.failed(ctx, &failure{err: ctx.Err()}, hiding{})
	case ok && r.Kind == template.KindContext:
		return &Error{Kind: KindRenderTimeout, Relay: m.address, cause: context.DeadlineExceeded}
	}
	e := &Error{Kind: KindRender, Relay: m.address, detail: err.Error()}
	if ok {
		e.cause = r
	}
	return retry.Permanent(e)
}

// credentialError makes the error for an attempt whose credential could not be read.
func (m *mailer) credentialError(ctx context.Context, err error) error {
	source, ok := errors.AsType[*secret.SourceError](err)
	if !ok { // the context is done
		return m.failed(ctx, &failure{err: err}, hiding{})
	}
	return &Error{Kind: KindSecret, Relay: m.address, detail: source.Error(), cause: source}
}
