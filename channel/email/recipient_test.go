package email_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// verdicts answers RCPT by the address, and the next time it is asked with the next of the replies.
func verdicts(replies map[string][]smtptest.Reply) func(smtptest.Command) smtptest.Reply {
	return func(c smtptest.Command) smtptest.Reply {
		if c.Step != "RCPT" {
			return ""
		}
		of := replies[c.Address]
		if len(of) == 0 {
			return ""
		}
		replies[c.Address] = of[1:]
		return of[0]
	}
}

func TestS61_OneRefusedRecipient(t *testing.T) {
	t.Parallel()
	r := start(t, plain, verdicts(map[string][]smtptest.Reply{"b@example.com": {"550 5.1.1 no such user"}}))
	c := config(t, r)
	c.To = []string{"a@example.com", "b@example.com", "c@example.com"}
	ch := open(t, c)
	receipt, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
	e, ok := errors.AsType[*email.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, []email.Refusal{{Recipient: "To[1]", Code: 550, Enhanced: "5.1.1"}}, e.Refusals)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict, "nobody gets it twice")
	assert.NotContains(t, err.Error(), "example.com")
	assert.Equal(t, 250, receipt.Status)
	assert.Equal(t, []string{"a@example.com", "c@example.com"}, only(t, r).To)
	assert.Equal(t, 1, email.Remembered(ch), "for a redelivery on purpose")
}

// The next attempt is for those only that have not got the mail.
func TestS61_GreylistedRecipient(t *testing.T) {
	t.Parallel()
	r := start(t, plain, verdicts(map[string][]smtptest.Reply{
		"b@example.com": {"450 4.2.0 greylisted", "450 4.2.0 greylisted"},
		"c@example.com": {"550 5.1.1 no such user"},
	}))
	c := config(t, r)
	c.To = []string{"a@example.com", "b@example.com", "c@example.com"}
	ch := open(t, c)
	d := sample(event.TypeRequestPending)

	for d.Attempt = 1; d.Attempt <= 2; d.Attempt++ {
		_, err := ch.Send(t.Context(), d)
		e, ok := errors.AsType[*email.Error](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, []email.Refusal{
			{Recipient: "To[1]", Code: 450, Enhanced: "4.2.0", Temporary: true},
			{Recipient: "To[2]", Code: 550, Enhanced: "5.1.1"},
		}, e.Refusals)
		assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: greylist}, retry.Classify(t.Context(), err))
		assert.Equal(t, 1, email.Remembered(ch))
	}
	_, err := ch.Send(t.Context(), d)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict, "the refused one is still to be reported: %v", err)
	assert.Equal(t, 1, email.Remembered(ch), "for a redelivery on purpose")

	var got [][]string
	ids := make(map[string]bool)
	for _, m := range r.Mails() {
		got = append(got, m.To)
		ids[read(t, m.Data).header.Get("Message-Id")] = true
	}
	assert.Equal(t, [][]string{{"a@example.com"}, {"b@example.com"}}, got)
	assert.Len(t, ids, 1, "the same mail")
	assert.Equal(t, 3+1+1, r.Count("RCPT"), "only b is asked for again")

	// The same event once more, on purpose, is for the one who has not got it.
	d.Attempt, d.Generation = 1, 1
	_, err = ch.Send(t.Context(), d)
	require.NoError(t, err)
	mails := r.Mails()
	assert.Equal(t, []string{"c@example.com"}, mails[len(mails)-1].To)
	assert.NotContains(t, ids, read(t, mails[len(mails)-1].Data).header.Get("Message-Id"), "mailboxes drop what they have seen")

	// Now that all have it, another one is for everybody again, and an attempt of an earlier one for nobody.
	d.Generation = 0
	receipt, err := ch.Send(t.Context(), d)
	require.NoError(t, err)
	assert.True(t, receipt.Skipped)
	assert.Len(t, r.Mails(), len(mails))
	d.Generation = 2
	_, err = ch.Send(t.Context(), d)
	require.NoError(t, err)
	mails = r.Mails()
	assert.Equal(t, c.To, mails[len(mails)-1].To)
}

func TestComputedRecipients(t *testing.T) {
	t.Parallel()
	requester, approver := "{{data.requester.email}}", "{{#each data.approvals}}{{approver.email}}{{/each}}\n"
	for name, tt := range map[string]struct {
		to       []string
		computed []string
		change   func(*event.RequestPending)
		want     []string
		kind     email.Kind // of the error
	}{
		"the requester": {nil, []string{requester}, nil, []string{"priya.nair@example.com"}, ""},
		"beside a fixed one": {[]string{"noc@example.com"}, []string{requester}, nil,
			[]string{"noc@example.com", "priya.nair@example.com"}, ""},
		"the same twice": {[]string{"Priya.Nair@Example.com"}, []string{requester, requester}, nil, []string{"Priya.Nair@example.com"}, ""},
		"in another script": {nil, []string{requester}, func(p *event.RequestPending) { p.Requester.Email = "jo@bücher.example" },
			[]string{"jo@xn--bcher-kva.example"}, ""},
		"nobody there yet": {nil, []string{requester, approver}, func(p *event.RequestPending) {
			p.Approvals = []event.Approval{{Name: "lead", Status: event.ApprovalPending}}
		}, []string{"priya.nair@example.com"}, ""},
		"nobody at all": {nil, []string{approver}, func(p *event.RequestPending) { p.Approvals = nil }, nil, email.KindNoRecipient},
		"no address":    {nil, []string{requester}, func(p *event.RequestPending) { p.Requester.Email = "priya" }, nil, email.KindNoRecipient},
		"no address, a fixed one": {[]string{"noc@example.com"}, []string{requester}, func(p *event.RequestPending) { p.Requester.Email = "priya" },
			[]string{"noc@example.com"}, email.KindRecipients},
		"two in one": {[]string{"noc@example.com"}, []string{requester}, func(p *event.RequestPending) { p.Requester.Email = "a@x.example,b@x.example" },
			[]string{"noc@example.com"}, email.KindRecipients},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, nil)
			c := config(t, r)
			c.To = tt.to
			for _, source := range tt.computed {
				c.ToComputed = append(c.ToComputed, compile(t, source, template.Text))
			}
			_, err := open(t, c).Send(t.Context(), pending(t, tt.change, event.Meta{}))
			if tt.kind == "" {
				require.NoError(t, err)
			} else {
				e, ok := errors.AsType[*email.Error](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, tt.kind, e.Kind)
				assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
				assert.NotContains(t, err.Error(), "priya")
			}
			if tt.want == nil {
				assert.Zero(t, r.Count("GREETING"))
				return
			}
			mail := only(t, r)
			assert.Equal(t, tt.want, mail.To)
			assert.Equal(t, "<"+strings.Join(tt.want, ">, <")+">", read(t, mail.Data).header.Get("To"))
		})
	}
}

// "Require external key": mail only for sessions that have one when the event occurs. It is the route's filter.
func TestRequireExternalKey(t *testing.T) {
	t.Parallel()
	filter := event.All(event.Types("session.*"), event.WithAttribute("external_key"))
	r := start(t, plain, nil)
	ch := open(t, config(t, r))
	session := event.Session{LSID: "s-1"}
	var sent []string
	for _, key := range []string{"", "CHG-17", ""} { // the key is removed again later
		session.ExternalKey = key
		e := event.Must(event.SessionStarted{Session: session}, event.Meta{})
		if filter.Match(e) {
			_, err := ch.Send(t.Context(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "mail"}, Attempt: 1})
			require.NoError(t, err)
			sent = append(sent, key)
		}
	}
	assert.Equal(t, []string{"CHG-17"}, sent)
	assert.Contains(t, read(t, only(t, r).Data).parts[0].text, "CHG-17")
}

func TestS61_Bcc(t *testing.T) {
	t.Parallel()
	for name, to := range map[string][]string{"beside others": {"a@example.com"}, "alone": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, nil)
			c := config(t, r)
			c.To, c.Bcc = to, []string{"auditor@example.com"}
			_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			require.NoError(t, err)
			mail := only(t, r)
			assert.Equal(t, append(to, "auditor@example.com"), mail.To)
			assert.NotContains(t, string(mail.Data), "auditor")
			if to == nil {
				assert.Equal(t, "undisclosed-recipients:;", read(t, mail.Data).header.Get("To"))
			}
		})
	}
}
