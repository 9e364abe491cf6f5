package email_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/event"
)

func TestBurstSharesOneConnection(t *testing.T) {
	t.Parallel()
	r := start(t, smtptest.Options{}, nil)
	c := config(t, r)
	c.Relay.Mode, c.Relay.TLS.CAPEM = email.TLSRequired, r.Authority()
	ch := open(t, c)
	const mails = 20
	for range mails {
		_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
		require.NoError(t, err)
	}
	assert.Len(t, r.Mails(), mails)
	assert.Equal(t, 1, r.Count("GREETING"))
	assert.Equal(t, 1, email.Idle(ch))
	require.NoError(t, ch.Close())
	assert.Zero(t, email.Idle(ch))
	require.NoError(t, r.WaitFor(t.Context(), "QUIT", 1))

	_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
	require.NoError(t, err)
	assert.Zero(t, email.Idle(ch), "a closed channel keeps nothing")
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	ch := open(t, config(t, r))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Len(t, r.Mails(), 32)
	assert.LessOrEqual(t, email.Idle(ch), email.MaxIdle)
}

func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	ch := open(t, config(t, r))
	email.KeepIdle(ch, 50*time.Millisecond)
	_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
	require.NoError(t, err)
	require.NoError(t, r.WaitFor(t.Context(), "QUIT", 1))
	assert.Zero(t, email.Idle(ch))
}

func TestConnectionEndsAfterManyMails(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	ch := open(t, config(t, r))
	for range email.MaxMails + 1 {
		_, err := ch.Send(t.Context(), sample(event.TypeSessionEnded))
		require.NoError(t, err)
	}
	assert.Equal(t, 2, r.Count("GREETING"))
}

// A session that ended while it was kept costs the attempt a new connection and not a failure.
func TestKeptConnectionThatEnded(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]smtptest.Reply{
		"closed": smtptest.Drop, "timed out": "421 4.4.2 idle for too long", "confused": "503 5.5.1 not now", "silent": smtptest.Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, answers(map[smtptest.Step]smtptest.Reply{"RSET": answer}))
			ch := open(t, config(t, r))
			email.Probe(ch, 200*time.Millisecond)
			for range 2 {
				_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
				require.NoError(t, err)
			}
			assert.Equal(t, 2, r.Count("GREETING"))
			assert.Equal(t, 1, r.Count("RSET"))
		})
	}
}

// After a refusal the session is good for the next mail; nothing of the refused one is left in it.
func TestConnectionAfterARefusal(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	r.Script("RCPT", "", "550 5.1.1 no such user")
	c := config(t, r)
	c.To = []string{"a@example.com", "b@example.com"}
	ch := open(t, c)
	_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
	require.Error(t, err)
	_, err = ch.Send(t.Context(), sample(event.TypeRequestApproved))
	require.NoError(t, err)
	assert.Equal(t, 1, r.Count("GREETING"))
	assert.Equal(t, c.To, r.Mails()[1].To)
	assert.Equal(t, []string{"EHLO", "MAIL", "RCPT", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "RCPT", "DATA"}, verbs(r.Commands()))
}

func verbs(lines []string) []string {
	var all []string
	for _, line := range lines {
		verb, _, _ := strings.Cut(line, " ")
		all = append(all, verb)
	}
	return all
}

// A policy that changed holds for kept connections too, also where only the address that a name has is refused.
func TestS12_ChangedPolicy(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, nil)
			c := config(t, r)
			c.Relay.Host = host
			ch := open(t, c)
			_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
			require.NoError(t, err)
			require.Equal(t, 1, email.Idle(ch))
			require.NoError(t, c.Guard.SetProfile(netguard.Profile{}))
			_, err = ch.Send(t.Context(), sample(event.TypeRequestPending))
			require.ErrorIs(t, err, netguard.ErrDestinationBlocked)
			assert.Zero(t, email.Idle(ch))
			assert.Zero(t, r.Count("RSET"), "nothing more is sent there")
			assert.Len(t, r.Mails(), 1)
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		steps map[smtptest.Step]smtptest.Reply
		want  string
	}{
		"takes mail":      {nil, ""},
		"too busy":        {map[smtptest.Step]smtptest.Reply{"GREETING": "421 4.3.2 try again at noon"}, "at greeting: answered 421 4.3.2: try again at noon"},
		"not this sender": {map[smtptest.Step]smtptest.Reply{"MAIL": "553 5.7.1 noc may not send"}, "at MAIL: answered 553 5.7.1: noc may not send"},
		"hostile text":    {map[smtptest.Step]smtptest.Reply{"MAIL": "550 \x1b[31m\u202e" + smtptest.Reply(strings.Repeat("long ", 200))}, "at MAIL: answered 550: [31mlong long"},
		"hangs up":        {map[smtptest.Step]smtptest.Reply{"EHLO": smtptest.Drop}, "at EHLO: the connection was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, answers(tt.steps))
			err := open(t, config(t, r)).Check(t.Context())
			assert.Zero(t, r.Count("MESSAGE"))
			assert.Zero(t, r.Count("RCPT"))
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, 1, r.Count("MAIL"))
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.Less(t, len(err.Error()), 300)
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		r := smtptest.Start(t, plain)
		c := config(t, r)
		r.Close()
		err := open(t, c).Check(t.Context())
		e, ok := errors.AsType[*email.Error](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, netguard.KindConnect, e.Kind)
		assert.Equal(t, email.StageConnect, e.Stage)
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		r := start(t, plain, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, open(t, config(t, r)).Check(ctx), context.Canceled)
	})
}
