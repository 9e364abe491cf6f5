package email

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// Error is the error of a failed attempt. It holds nothing of the event: recipients are named by their place in
// [Config]. Of a reply it holds the codes, and its text the relay's words up to MAIL, without credentials; what a relay
// says about a recipient or a message is in the receipt only. errors.As finds the *netguard.Error of a failed exchange,
// the *netguard.BlockedError of a refused destination, the *secret.SourceError of a credential, and the
// *template.RenderError of a KindRender; errors.Is finds channel.ErrGone, netguard.ErrDestinationBlocked,
// context.Canceled and context.DeadlineExceeded where they apply.
type Error struct {
	Kind     Kind
	Stage    Stage     // how far it came; "" = no connection was tried
	Code     int       // of the relay's reply, RFC 5321; 0 = it is not about a reply
	Enhanced string    // the reply's status code by RFC 3463, such as "5.1.1"; may be empty
	Relay    string    // host:port
	Refusals []Refusal // of KindRecipients: the recipients without the mail
	detail   string    // safe to show; "" = none
	cause    error     // one of the errors named above
}

// Refusal is one recipient that does not have the mail.
type Refusal struct {
	Recipient string // its place in Config, such as "To[1]"
	Code      int    // of the relay's reply; 0 = what was computed is no address
	Enhanced  string // as in Error
	Temporary bool   // it is tried again, alone
}

func (r Refusal) String() string {
	switch {
	case r.Code == 0:
		return r.Recipient + " is not an address"
	case r.Temporary:
		return r.Recipient + " yet (" + status(r.Code, r.Enhanced) + ")"
	default:
		return r.Recipient + " (" + status(r.Code, r.Enhanced) + ")"
	}
}

// Error returns the relay and what happened, in one line.
func (e *Error) Error() string {
	what := e.what()
	if e.Stage != "" && e.Kind != KindRecipients {
		what = "at " + string(e.Stage) + ": " + what
	}
	if e.detail != "" {
		what += ": " + e.detail
	}
	return "smtp " + e.Relay + ": " + what
}

func (e *Error) what() string {
	n, ok := errors.AsType[*netguard.Error](e.cause)
	switch {
	case ok:
		return n.Error()
	case e.Kind == KindReply:
		return "answered " + status(e.Code, e.Enhanced)
	case e.Kind == KindRecipients:
		refused := make([]string, len(e.Refusals))
		for i, r := range e.Refusals {
			refused[i] = r.String()
		}
		return "not delivered to " + strings.Join(refused, ", ")
	default:
		return kindText(e.Kind)
	}
}

// Unwrap returns the error that led to e, if it is one of those named above.
func (e *Error) Unwrap() error { return e.cause }

// Kind says how an attempt failed: one of the kinds of package netguard, or one of those below. New kinds may be added.
type Kind = netguard.Kind

// The kinds of mail's own. Those up to KindTooLarge are permanent; nothing, or not the message, was sent.
const (
	KindNoEvent       Kind = "no_event"       // the Delivery has no event
	KindRender        Kind = "render"         // the mail cannot be made from this event
	KindNoRecipient   Kind = "no_recipient"   // neither the event nor the configuration names a valid address
	KindTooLarge      Kind = "too_large"      // the mail is larger than the relay says it takes
	KindRenderTimeout Kind = "render_timeout" // the mail could not be made in time
	KindSecret        Kind = "secret"         // a credential cannot be read or used; the error names where it comes from
	KindNoAuth        Kind = "no_auth"        // the relay offers no log-in of the kind that is configured
	KindNoTLS         Kind = "no_tls"         // TLS is required and the relay does not offer it
	KindPlaintextAuth Kind = "plaintext_auth" // the log-in would be readable, and was not sent
	KindReply         Kind = "reply"          // the relay said no, see Error.Code; permanent is only 5yz about the message
	KindRecipients    Kind = "recipients"     // not all recipients have the mail, see Error.Refusals
)

// kindText describes a kind that has neither a reply nor an error of package netguard.
func kindText(k Kind) string {
	switch k {
	case KindNoEvent:
		return "there is no event to send"
	case KindRender:
		return "the mail cannot be made from the event"
	case KindNoRecipient:
		return "the event names no valid recipient, nothing was sent"
	case KindNoAuth:
		return "the relay offers no log-in that can be used, remove Relay.Auth or choose another"
	case KindTooLarge:
		return "the mail is larger than the relay allows, nothing was sent"
	case KindRenderTimeout:
		return "timeout while making the mail"
	case KindSecret:
		return "a credential is not available"
	case KindNoTLS:
		return "the relay does not offer STARTTLS, nothing was sent"
	case KindPlaintextAuth:
		return "the connection is not encrypted, so that we did not log in"
	default:
		return string(k)
	}
}

// Stage says how far a conversation with a relay had come.
type Stage string

// The stages, in their order.
const (
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "EHLO"
	StageTLS      Stage = "TLS" // before the greeting with TLSImplicit
	StageAuth     Stage = "AUTH"
	StageMail     Stage = "MAIL"
	StageRcpt     Stage = "RCPT"
	StageData     Stage = "DATA"
	StageMessage  Stage = "message" // sent to its end; the relay's answer is awaited
)

// aboutMail reports whether a reply is about this mail, and so may quote what is in it, and not about us and the relay.
func (s Stage) aboutMail() bool { return s == StageRcpt || s == StageData || s == StageMessage }

const (
	// relayPause is the least pause after an attempt that failed for a certificate, for lack of TLS, or because the
	// relay refuses us: an operator has to correct that, so an attempt every few minutes is useless, and a dead letter
	// would be premature.
	relayPause = time.Hour
	// greylistPause is the least pause after a 4yz reply about a recipient or a message. Greylisting (RFC 6647) wants
	// to see a sender come back, but not at once, and takes the impatient for spammers.
	greylistPause = 5 * time.Minute
)

func (m *mailer) permanent(k Kind, detail string) error {
	return retry.Permanent(&Error{Kind: k, Relay: m.address, detail: detail})
}

// failureError makes the error for an attempt that failed as a whole. ctx is the attempt's, whose end explains a closed
// connection.
func (m *mailer) failureError(ctx context.Context, f *failure, red redaction) error {
	e := &Error{Kind: f.kind, Stage: f.stage, Relay: m.address}
	switch f.kind {
	case KindNoTLS, KindPlaintextAuth, KindNoAuth:
		return retry.Delay(e, relayPause)
	case KindTooLarge:
		return retry.Permanent(e)
	default: // as the reply or the error says
	}
	if r, ok := f.reply(); ok {
		return m.replyError(e, r, red)
	}
	n := netguard.Classify(ctx, "", "", f.err, f.outcomeUnknown())
	e.Kind, e.cause = n.Kind, n
	if errors.Is(n, netguard.ErrDestinationBlocked) {
		// Not in the error, which a tenant who configured the relay may see.
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

// replyError makes the error for a reply.
func (m *mailer) replyError(e *Error, r reply, red redaction) error {
	e.Kind, e.Code, e.Enhanced = KindReply, r.Code, r.enhanced()
	if !e.Stage.aboutMail() {
		e.detail = red.line(r)
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

// conclude makes the error for a mail of which each recipient has an outcome, nil if all have it, and stores what is to
// be known later: nothing of a mail that was delivered to all at once.
func (m *mailer) conclude(ctx context.Context, d channel.Delivery, s *mailState, to []recipient) error {
	e := &Error{Kind: KindRecipients, Stage: StageRcpt, Relay: m.address}
	again, some := false, false
	for _, r := range to {
		o := s.of(r)
		if r.address != "" && o.Status == rcptAccepted {
			some = true
			continue
		}
		e.Refusals = append(e.Refusals, Refusal{r.field, o.Code, o.Enhanced, o.Status == rcptDeferred})
		again = again || o.Status == rcptDeferred
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
		return m.failureError(ctx, &failure{err: ctx.Err()}, redaction{})
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
		return m.failureError(ctx, &failure{err: err}, redaction{})
	}
	return &Error{Kind: KindSecret, Relay: m.address, detail: source.Error(), cause: source}
}
