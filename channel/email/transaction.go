package email

import (
	"context"
	"errors"
	"net/textproto"
	"strconv"

	"github.com/wneessen/go-mail/smtp"
)

// transaction is one mail on its way to a relay.
type transaction struct {
	from       string
	message    []byte
	brief      func() []byte // a shorter message for a relay that does not take the whole; nil = none
	credential string

	outcomes map[string]outcome // by recipient.key; complete when failure is nil
	failure  *failure
	last     reply // of the relay about the mail or a recipient; zero = none
}

// run makes the transaction, with nobody in to only as far as the relay's answer to the sender.
func (t *transaction) run(ctx context.Context, p *pool, to []recipient) {
	s, f := p.acquire(ctx, t.credential)
	if f == nil {
		f = t.speak(s.client, to)
		s.broken = f != nil && f.final()
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

func (t *transaction) speak(c *smtp.Client, to []recipient) *failure {
	_, size := c.Extension("SIZE") // RFC 1870
	if limit, err := strconv.Atoi(size); err == nil && limit > 0 && len(t.message) > limit {
		if t.brief != nil {
			t.message = t.brief()
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
	accepted, f := t.ask(c, to)
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
		t.outcomes[r.key()] = outcome{State: taken}
	}
	return nil
}

// ask names the recipients to the relay and returns those it accepts. One that it does not accept is no reason to keep
// the mail from the others.
func (t *transaction) ask(c *smtp.Client, to []recipient) ([]recipient, *failure) {
	t.outcomes = make(map[string]outcome)
	var accepted []recipient
	for _, r := range to {
		err := c.Rcpt("<" + r.address + ">")
		if err == nil {
			accepted = append(accepted, r)
			continue
		}
		f := &failure{stage: StageRcpt, err: err}
		answer, ok := f.reply()
		if !ok || f.final() {
			return nil, f
		}
		t.last = answer
		o := outcome{State: refused, Code: answer.Code, Enhanced: answer.enhanced()}
		if answer.transient() || answer.Code == 552 { // RFC 5321 section 4.5.3.1.10: some say so of too many recipients
			o.State = deferred
		}
		t.outcomes[r.key()] = o
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

// final tells whether the session has come to its end with it.
func (f *failure) final() bool {
	if f.kind != "" {
		return false
	}
	r, ok := f.reply()
	return !ok || r.Code == 421
}

// unknown tells whether the mail may have been taken all the same.
func (f *failure) unknown() bool {
	_, answered := f.reply()
	return f.stage == StageMessage && !answered
}
