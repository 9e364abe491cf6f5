package email_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

const greylist = 5 * time.Minute

// throttled stands for a pause of the relay's for all mail, of no named length.
const throttled = -1

func TestS59_Replies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step    smtptest.Step
		answer  string
		stage   email.Stage
		kind    email.Kind
		verdict retry.Verdict
		delay   time.Duration
	}{
		{"GREETING", "421 4.3.2 too busy", email.StageGreeting, email.KindReply, retry.VerdictTransient, throttled},
		{"GREETING", "554 5.7.1 not from there", email.StageGreeting, email.KindReply, retry.VerdictTransient, time.Hour},
		{"GREETING", "521 5.3.2 never", email.StageGreeting, email.KindReply, retry.VerdictPermanent, 0},
		{"EHLO", "421 4.3.2 too busy", email.StageHello, email.KindReply, retry.VerdictTransient, throttled},
		{"EHLO", "550 5.7.1 who are you", email.StageHello, email.KindReply, retry.VerdictTransient, time.Hour},
		{"MAIL", "450 4.7.1 too much mail", email.StageMail, email.KindReply, retry.VerdictTransient, throttled},
		{"MAIL", "451 4.3.0 later", email.StageMail, email.KindReply, retry.VerdictTransient, 0},
		{"MAIL", "452 4.3.1 disk full", email.StageMail, email.KindReply, retry.VerdictTransient, 0},
		{"MAIL", "530 5.7.0 log in first", email.StageMail, email.KindReply, retry.VerdictTransient, 0},
		{"MAIL", "553 5.1.8 not your address", email.StageMail, email.KindReply, retry.VerdictTransient, time.Hour},
		{"RCPT", "421 4.3.2 going down", email.StageRcpt, email.KindReply, retry.VerdictTransient, throttled},
		{"RCPT", "450 4.2.0 greylisted", email.StageRcpt, email.KindRecipients, retry.VerdictTransient, greylist},
		{"RCPT", "451 4.7.1 greylisted", email.StageRcpt, email.KindRecipients, retry.VerdictTransient, greylist},
		{"RCPT", "452 4.5.3 too many", email.StageRcpt, email.KindRecipients, retry.VerdictTransient, greylist},
		{"RCPT", "552 5.5.3 too many", email.StageRcpt, email.KindRecipients, retry.VerdictTransient, greylist},
		{"RCPT", "550 5.1.1 no such user", email.StageRcpt, email.KindRecipients, retry.VerdictPermanent, 0},
		{"RCPT", "554 5.7.1 relay access denied", email.StageRcpt, email.KindRecipients, retry.VerdictPermanent, 0},
		{"DATA", "451 4.3.0 later", email.StageData, email.KindReply, retry.VerdictTransient, greylist},
		{"DATA", "554 5.5.1 no valid recipients", email.StageData, email.KindReply, retry.VerdictPermanent, 0},
		{"MESSAGE", "421 4.3.2 going down", email.StageMessage, email.KindReply, retry.VerdictTransient, throttled},
		{"MESSAGE", "451 4.7.1 greylisted", email.StageMessage, email.KindReply, retry.VerdictTransient, greylist},
		{"MESSAGE", "452 4.3.1 disk full", email.StageMessage, email.KindReply, retry.VerdictTransient, greylist},
		{"MESSAGE", "552 5.3.4 too big", email.StageMessage, email.KindReply, retry.VerdictPermanent, 0},
		{"MESSAGE", "554 5.7.1 spam", email.StageMessage, email.KindReply, retry.VerdictPermanent, 0},
	} {
		t.Run(string(tt.step)+" "+tt.answer, func(t *testing.T) {
			t.Parallel()
			steps := map[smtptest.Step]smtptest.Reply{tt.step: smtptest.Reply(tt.answer)}
			if tt.step == "EHLO" {
				steps["HELO"] = steps["EHLO"] // go-mail tries the old command when the new one is refused
			}
			r := start(t, plain, answers(steps))
			receipt, err := open(t, config(t, r)).Send(t.Context(), sample(event.TypeRequestPending))
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, tt.stage, e.Stage)
			want := retry.Result{Verdict: tt.verdict, Delay: tt.delay}
			if tt.delay == throttled {
				want = retry.Result{Verdict: tt.verdict, Throttled: true}
			}
			assert.Equal(t, want, retry.Classify(t.Context(), err))
			code, enhanced := e.Code, e.Enhanced
			if tt.kind == email.KindRecipients {
				require.Len(t, e.Refusals, 1)
				assert.Equal(t, "To[0]", e.Refusals[0].Recipient)
				code, enhanced = e.Refusals[0].Code, e.Refusals[0].Enhanced
			}
			assert.True(t, strings.HasPrefix(tt.answer, fmt.Sprintf("%d %s ", code, enhanced)))
			assert.Equal(t, code, receipt.Status)
			assert.Contains(t, string(receipt.Response.Body), tt.answer[4:])
			assert.False(t, receipt.OutcomeUnknown)
			assert.Equal(t, code == 521, errors.Is(err, channel.ErrGone))
			if e.Stage == email.StageRcpt || e.Stage == email.StageData || e.Stage == email.StageMessage {
				assert.NotContains(t, err.Error(), tt.answer[10:], "a reply about the mail may quote it")
			} else {
				assert.Contains(t, err.Error(), tt.answer[10:])
			}
		})
	}
}

func TestS35_LostConnections(t *testing.T) {
	t.Parallel()
	for step, stages := range map[smtptest.Step][]email.Stage{
		"GREETING": {email.StageGreeting},
		"EHLO":     {email.StageHello},
		"MAIL":     {email.StageMail},
		"RCPT":     {email.StageRcpt},
		"DATA":     {email.StageData},
		"BODY":     {email.StageData, email.StageMessage}, // whether we notice while we write or when we are done
		"MESSAGE":  {email.StageMessage},
	} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, answers(map[smtptest.Step]smtptest.Reply{step: smtptest.Drop}))
			receipt, err := open(t, config(t, r)).Send(t.Context(), sample(event.TypeRequestPending))
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Contains(t, []email.Kind{netguard.KindEOF, netguard.KindReset}, e.Kind)
			assert.Contains(t, stages, e.Stage)
			unknown := e.Stage == email.StageMessage
			assert.Equal(t, unknown, receipt.OutcomeUnknown)
			assert.Equal(t, unknown, strings.Contains(err.Error(), "outcome is unknown"))
			assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
		})
	}
}

func TestS32_WhatIsNotSMTP(t *testing.T) {
	t.Parallel()
	for name, greeting := range map[string]smtptest.Reply{
		"HTTP":                "HTTP/1.1 400 Bad Request\r\n\r\n",
		"nothing":             "",
		"a code of letters":   "abc hello",
		"2yz of no meaning":   "299 hello",
		"a line with no end":  "220 " + smtptest.Reply(strings.Repeat("x", 1<<20)),
		"a reply with no end": smtptest.Reply(strings.Repeat("220-hello\r\n", 1<<16)) + "220 hello",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, answers(map[smtptest.Step]smtptest.Reply{"GREETING": greeting + "\r\n"}))
			_, err := open(t, config(t, r)).Send(t.Context(), sample(event.TypeRequestPending))
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, netguard.KindProtocol, e.Kind)
			assert.Equal(t, email.StageGreeting, e.Stage)
			assert.NotContains(t, err.Error(), "hello")
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.Zero(t, r.Count("MAIL"))
		})
	}
}

func TestS53_GuardedConnections(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	c := config(t, r)
	c.Guard = nil
	_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
	require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
	assert.Zero(t, r.Count("GREETING"))
}

// The operator's log says which address was refused, the error does not.
func TestS11_TheLogSaysWhichAddressWasRefused(t *testing.T) {
	t.Parallel()
	c := minimal()
	logger, lines := recorded()
	c.Relay.Host, c.Logger = "10.11.12.13", logger
	_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
	require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
	assert.NotContains(t, err.Error(), "private")
	assert.Contains(t, lines.String(), "10.11.12.13: private")
}

// The time of an attempt covers what templates make.
func TestTimeoutCoversRendering(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	c := config(t, r)
	c.Timeout = time.Nanosecond
	_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
	e, ok := errors.AsType[*email.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, email.KindRenderTimeout, e.Kind)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.Zero(t, r.Count("GREETING"))
}

func TestTooLargeForTheRelay(t *testing.T) {
	t.Parallel()
	for size, sent := range map[string]bool{"SIZE 100": false, "SIZE 0": true, "SIZE": true, "SIZE 10000000": true, "SIZE much": true} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			r := start(t, smtptest.Options{Mode: email.TLSNone, Extensions: []string{size}}, nil)
			_, err := open(t, config(t, r)).Send(t.Context(), sample(event.TypeRequestPending))
			if sent {
				require.NoError(t, err)
				return
			}
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, email.KindTooLarge, e.Kind)
			assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
			assert.Zero(t, r.Count("MAIL"))
		})
	}
}
