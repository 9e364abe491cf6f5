package email

import (
	"context"
	"errors"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// transaction is one mail on its way to a relay.
type transaction struct {
	from       string
	message    []byte
	shorter    func() []byte // a shorter message for a relay that does not take the whole; nil = none
	credential string

	states  map[string]recipientState // by recipient.key; complete when failure is nil
	failure *failure
	last    reply // of the relay about the mail or a recipient; zero = none
}

// run makes the transaction; without recipients it ends with the relay's reply to the sender.
func (t *transaction) run(ctx context.Context, p *pool, to []recipient) {
	s, f := p.acquire(ctx, t.credential)
	if f == nil {
		f = t.send(s.client, to)
		s.broken = f != nil && f.endsSession()
		s.mails++
		p.release(s)
	}
	if f != nil {
		t.failure = f
		if r, ok := f.reply(); ok {
			t.last = r
		}
	}
}

// send makes the transaction over an open session.
func (t *transaction) send(c *smtp.Client, to []recipient) *failure {
	_, size := c.Extension("SIZE") // RFC 1870
	if limit, err := strconv.Atoi(size); err == nil && limit > 0 && len(t.message) > limit {
		if t.shorter != nil {
			t.message = t.shorter()
		}
		if len(t.message) > limit {
			return &failure{stage: StageMail, kind: KindTooLarge}
		}
	}
	if err := c.Mail("<" + t.from + ">"); err != nil {
		return &failure{stage: StageMail, err: err}
	}
	if len(to) == 0 {
		return nil
	}
	accepted, f := t.sendRecipients(c, to)
	if f != nil || len(accepted) == 0 {
		return f
	}
	w, err := c.Data()
	if err != nil {
		return &failure{stage: StageData, err: err}
	}
	if _, err := w.Write(t.message); err != nil {
		return &failure{stage: StageData, err: err}
	}
	if err := w.Close(); err != nil {
		return &failure{stage: StageMessage, err: err}
	}
	t.last = reply{Code: 250}
	if d, ok := w.(*smtp.DataCloser); ok {
		t.last.Msg = d.ServerResponse()
	}
	for _, r := range accepted {
		t.states[r.key()] = recipientState{Status: rcptAccepted}
	}
	return nil
}

// sendRecipients names the recipients to the relay and returns those it accepts. One that it does not accept is no
// reason to keep the mail from the others.
func (t *transaction) sendRecipients(c *smtp.Client, to []recipient) ([]recipient, *failure) {
	t.states = make(map[string]recipientState)
	var accepted []recipient
	for _, r := range to {
		err := c.Rcpt("<" + r.address + ">")
		if err == nil {
			accepted = append(accepted, r)
			continue
		}
		f := &failure{stage: StageRcpt, err: err}
		answer, ok := f.reply()
		if !ok || f.endsSession() {
			return nil, f
		}
		t.last = answer
		o := recipientState{Status: rcptRejected, Code: answer.Code, Enhanced: answer.enhanced()}
		if answer.transient() || answer.Code == 552 { // RFC 5321 section 4.5.3.1.10: some say so of too many recipients
			o.Status = rcptDeferred
		}
		t.states[r.key()] = o
	}
	return accepted, nil
}

// failure says where and how an attempt failed as a whole.
type failure struct {
	stage Stage
	kind  Kind  // "" = as err says
	err   error // nil if kind says it all
}

// reply returns the relay's reply that was the failure.
func (f *failure) reply() (reply, bool) {
	e, ok := errors.AsType[*textproto.Error](f.err)
	if !ok || e.Code < 400 || e.Code > 599 {
		return reply{}, false
	}
	return reply(*e), true
}

// endsSession reports whether the session has come to its end with it.
func (f *failure) endsSession() bool {
	if f.kind != "" {
		return false
	}
	r, ok := f.reply()
	return !ok || r.Code == 421
}

// outcomeUnknown reports whether the mail may have been delivered all the same.
func (f *failure) outcomeUnknown() bool {
	_, answered := f.reply()
	return f.stage == StageMessage && !answered
}

// reply is what a relay said. Msg is its text, of one or more lines; it may repeat anything that was sent.
type reply textproto.Error

func (r reply) transient() bool { return r.Code >= 400 && r.Code <= 499 }

// unauthorized reports whether the relay wants other credentials (RFC 4954 section 6).
func (r reply) unauthorized() bool {
	return r.Code == 530 || r.Code == 534 || r.Code == 535 || r.Code == 538
}

// enhanced returns the status code of RFC 3463, such as 5.1.1, that most relays begin their text with, or "".
func (r reply) enhanced() string {
	end := strings.IndexAny(r.Msg, " \n")
	if end < 0 {
		end = len(r.Msg)
	}
	code := r.Msg[:end]
	parts := strings.Split(code, ".")
	if len(parts) != 3 || parts[0] != "2" && parts[0] != "4" && parts[0] != "5" {
		return ""
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return code
}

// status is the code and the enhanced code.
func status(code int, enhanced string) string {
	if enhanced == "" {
		return strconv.Itoa(code)
	}
	return strconv.Itoa(code) + " " + enhanced
}
