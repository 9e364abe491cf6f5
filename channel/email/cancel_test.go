package email_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// silences are the steps at which a relay can fall silent, and the stage an error then names. A relay sees a
// connection, or the end of a step, a moment before or after we do.
var silences = []struct {
	step     smtptest.Step
	implicit bool
	stages   []email.Stage
}{
	{"GREETING", false, []email.Stage{email.StageConnect, email.StageGreeting}},
	{"HANDSHAKE", true, []email.Stage{email.StageConnect, email.StageTLS}},
	{"GREETING", true, []email.Stage{email.StageTLS, email.StageGreeting}},
	{"EHLO", false, []email.Stage{email.StageHello}},
	{"STARTTLS", false, []email.Stage{email.StageTLS}},
	{"HANDSHAKE", false, []email.Stage{email.StageTLS}},
	{"AUTH", false, []email.Stage{email.StageAuth}},
	{"MAIL", false, []email.Stage{email.StageMail}},
	{"RCPT", false, []email.Stage{email.StageRcpt}},
	{"DATA", false, []email.Stage{email.StageData}},
	{"BODY", false, []email.Stage{email.StageData, email.StageMessage}}, // as long as we write, and when we are done
	{"MESSAGE", false, []email.Stage{email.StageMessage}},
	{"RSET", false, []email.Stage{email.StageConnect}}, // of a session that was kept, in whose place a new one is wanted
}

func name(step smtptest.Step, implicit bool) string {
	if implicit {
		return string(step) + ", implicit TLS"
	}
	return string(step)
}

// silent is a relay that falls silent at a step, and a channel to it that has sent a mail before if the step needs it.
func silent(t *testing.T, step smtptest.Step, implicit bool, timeout time.Duration) (*smtptest.Server, *email.Channel) {
	t.Helper()
	o := smtptest.Options{Mode: email.TLSRequired, Auth: "PLAIN"}
	if implicit {
		o.Mode = email.TLSImplicit
	}
	r := smtptest.Start(t, o)
	r.Handle(answers(map[smtptest.Step]smtptest.Reply{step: smtptest.Hang}))
	c := config(t, r)
	c.Timeout = timeout
	c.Relay.TLS.CAPEM, c.Relay.Mode = r.Authority(), o.Mode
	c.Relay.Auth = email.Password("noc", secret.Literal(credential))
	ch := open(t, c)
	if step == "RSET" {
		_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
		require.NoError(t, err)
	}
	return r, ch
}

// The limit is 100 ms. A busy machine may take longer once, but not five times in a row.
func TestS60_CancelledAtEveryStage(t *testing.T) {
	t.Parallel()
	const limit, tries = 100 * time.Millisecond, 5
	for _, tt := range silences {
		t.Run(name(tt.step, tt.implicit), func(t *testing.T) {
			t.Parallel()
			took := limit
			for range tries {
				r, ch := silent(t, tt.step, tt.implicit, 0)
				ctx, cancel := context.WithCancel(t.Context())
				result := make(chan error, 1)
				var unknown bool
				go func() {
					receipt, err := ch.Send(ctx, sample(event.TypeRequestPending))
					unknown = receipt.OutcomeUnknown
					result <- err
				}()
				require.NoError(t, r.WaitFor(t.Context(), tt.step, 1))
				began := time.Now()
				cancel()
				err := <-result
				took = min(took, time.Since(began))
				e, ok := errors.AsType[*email.Error](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, netguard.KindCanceled, e.Kind)
				assert.Contains(t, tt.stages, e.Stage)
				assert.Equal(t, e.Stage == email.StageMessage, unknown)
				require.ErrorIs(t, err, context.Canceled)
				assert.Equal(t, retry.VerdictPostponed, retry.Classify(ctx, err).Verdict)
				if took < limit {
					break
				}
			}
			assert.Less(t, took, limit)
		})
	}
}

func TestS29_TimeoutAtEveryStage(t *testing.T) {
	t.Parallel()
	for _, tt := range silences[:len(silences)-1] { // the mail before RSET must not run into the limit
		t.Run(name(tt.step, tt.implicit), func(t *testing.T) {
			t.Parallel()
			for timeout := 150 * time.Millisecond; ; timeout *= 4 {
				_, ch := silent(t, tt.step, tt.implicit, timeout)
				receipt, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
				e, ok := errors.AsType[*email.Error](err)
				require.True(t, ok, "%v", err)
				if e.Kind == email.KindRenderTimeout && timeout < 10*time.Second {
					continue // a busy machine has not come as far as the relay
				}
				assert.Equal(t, netguard.KindTotalTimeout, e.Kind)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
				assert.Equal(t, e.Stage == email.StageMessage, receipt.OutcomeUnknown)
				if slices.Contains(tt.stages, e.Stage) || timeout > 10*time.Second {
					assert.Contains(t, tt.stages, e.Stage)
					return
				}
				t.Logf("%v was over at %s already: this machine is busy", timeout, e.Stage)
			}
		})
	}
}

// The name server is asked within the limits of the attempt.
func TestS60_CancelledWhileConnecting(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	g, err := netguard.New(netguard.Profile{Loopback: true}, &net.Resolver{PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	require.NoError(t, err)
	ch := open(t, email.Config{Relay: email.Relay{Host: "relay.sender.example"}, From: "noc@sender.example", To: []string{"jo@example.com"}, Guard: g})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err = ch.Send(ctx, sample(event.TypeRequestPending))
	e, ok := errors.AsType[*email.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, netguard.KindCanceled, e.Kind)
	assert.Equal(t, email.StageConnect, e.Stage)
	assert.Equal(t, retry.VerdictPostponed, retry.Classify(ctx, err).Verdict)
}

// A relay that answers, but slowly, is no reason to wait beyond the limit, and each stage's time counts.
func TestS60_SlowRelay(t *testing.T) {
	t.Parallel()
	r := smtptest.Start(t, plain)
	r.Handle(func(smtptest.Command) smtptest.Reply {
		<-time.After(60 * time.Millisecond)
		return ""
	})
	c := config(t, r)
	c.Timeout = 150 * time.Millisecond
	_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Zero(t, r.Count("MESSAGE"))
}
