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
	// greylistPause is the least pause after a 4yz reply about a recipient or a message. Greylisting (RFC 6647) wants to see
	// a sender come back, but not at once, and takes the impatient for spammers.
	greylistPause = 5 * time.Minute
)

func (p *private) permanent(k Kind, detail string) error {
	return retry.Permanent(&Error{Kind: k, Relay: p.address, detail: detail})
}

// failed makes the error for an attempt that failed as a whole. ctx is the attempt's, whose end explains a closed connection.
func (p *private) failed(ctx context.Context, f *failure, hide hiding) error {
	e := &Error{Kind: f.kind, Stage: f.stage, Relay: p.address}
	switch f.kind {
	case KindNoTLS, KindPlaintextAuth, KindNoAuth:
		return retry.Delay(e, relayPause)
	case KindTooLarge:
		return retry.Permanent(e)
	default: // as the reply or the error says
	}
	if r, ok := f.reply(); ok {
		return p.answered(e, r, hide)
	}
	n := netguard.Classify(ctx, "", "", f.err, f.unknown())
	e.Kind, e.cause = n.Kind, n
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
func (p *private) answered(e *Error, r reply, hide hiding) error {
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
		p.pool.dialer.auth.value.Expire() // it may have been rotated
		return e
	case !r.transient():
		return retry.Delay(e, relayPause)
	default:
		return e
	}
}

// settle makes the error for a mail of which each recipient has an outcome, nil if all have it, and remembers what is to be
// remembered.
func (p *private) settle(key string, s standing, m *message) error {
	e := &Error{Kind: KindRecipients, Stage: StageRcpt, Relay: p.address}
	again := false
	for _, r := range m.recipients {
		o := s[r.key()]
		if r.address != "" && o.state == taken {
			continue
		}
		e.Refusals = append(e.Refusals, Refusal{r.field, o.code, o.enhanced, o.state == deferred})
		again = again || o.state == deferred
	}
	if again {
		p.progress.store(key, s)
		return retry.Delay(e, greylistPause)
	}
	p.progress.forget(key)
	if len(e.Refusals) > 0 {
		return retry.Permanent(e)
	}
	return nil
}

// unwritten makes the error for a mail that could not be made.
func (p *private) unwritten(ctx context.Context, err error) error {
	if errors.Is(err, errNoRecipient) {
		return p.permanent(KindNoRecipient, "")
	}
	r, ok := errors.AsType[*template.RenderError](err)
	switch {
	case ok && r.Kind == template.KindContext && errors.Is(ctx.Err(), context.Canceled):
		return p.failed(ctx, &failure{err: ctx.Err()}, hiding{})
	case ok && r.Kind == template.KindContext:
		return &Error{Kind: KindRenderTimeout, Relay: p.address, cause: context.DeadlineExceeded}
	}
	e := &Error{Kind: KindRender, Relay: p.address, detail: err.Error()}
	if ok {
		e.cause = r
	}
	return retry.Permanent(e)
}

// unready makes the error for an attempt whose credential could not be read.
func (p *private) unready(ctx context.Context, err error) error {
	source, ok := errors.AsType[*secret.SourceError](err)
	if !ok { // the context is done
		return p.failed(ctx, &failure{err: err}, hiding{})
	}
	return &Error{Kind: KindSecret, Relay: p.address, detail: source.Error(), cause: source}
}
