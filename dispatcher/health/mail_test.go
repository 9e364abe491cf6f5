package health_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// subjects returns those of the mails so far.
func subjects(s *smtptest.Server) []string {
	var all []string
	for _, m := range s.Mails() {
		all = append(all, m.Subject)
	}
	return all
}

// Style 3, over real connections: a receiver that answers anything but 200 makes the alert mail go out to the contact,
// again and again, until it heals, and then one that says so.
func TestStyle3AlertMailGoesOutToTheContact(t *testing.T) {
	t.Parallel()
	var healthy atomic.Bool
	var seen atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusAccepted) // not 200
			return
		}
		seen.Add(1)
	}))
	t.Cleanup(receiver.Close)
	mail := smtptest.Start(t, smtptest.Options{})
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	hook, err := webhook.New(webhook.Config{URL: receiver.URL + "/hook", Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true},
		Success: []int{http.StatusOK}, Verdicts: func(int) retry.Verdict { return retry.VerdictTransient }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	c := mail.Config()
	c.To = []string{"contact@example.com"}
	contact, err := email.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, contact.Close()) })

	monitor := health.New(health.Options{Alert: health.Alert{After: 200 * time.Millisecond, Resend: 200 * time.Millisecond}})
	engine, err := dispatcher.New(dispatcher.Config{Observers: []dispatcher.Observer{monitor.Observer()}, Routes: []dispatcher.Route{
		{Name: "siem", Channel: hook, Order: dispatcher.Strict, Retry: retry.Fixed{Interval: 20 * time.Millisecond, For: time.Hour}},
		{Name: "contact", Channel: contact, Events: event.Types("tocsin.*")},
	}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = engine.Run(ctx) })
	running.Go(func() { _ = monitor.Run(ctx, engine) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	require.NoError(t, engine.Check(ctx, named("contact")), "the relay accepts")
	for range 3 {
		sample, _ := event.Sample(event.TypeSessionStarted)
		e, err := event.New(event.SessionStarted{}, event.Meta{Subject: sample.Subject()})
		require.NoError(t, err)
		require.NoError(t, engine.Dispatch(ctx, e))
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		require.Eventually(t, ok, time.Minute, 5*time.Millisecond, what)
	}
	eventually("two alert mails", func() bool { return len(subjects(mail)) >= 2 })
	assert.Zero(t, seen.Load(), "head of line: nothing was let by")
	healthy.Store(true)
	last := func() string { all := subjects(mail); return all[len(all)-1] }
	eventually("the mail about the recovery", func() bool { return last() != subjects(mail)[0] })
	eventually("all events", func() bool { return seen.Load() == 3 })
	assert.Contains(t, subjects(mail)[0], "siem")
	assert.Contains(t, last(), "siem")
	t.Log(subjects(mail)[0], "|", last())
}
