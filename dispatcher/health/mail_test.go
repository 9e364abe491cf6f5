package health_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// relay is a mail server on loopback that takes everything and keeps the headers of each message, by name.
type relay struct {
	listener net.Listener
	mu       sync.Mutex
	mails    []map[string]string
	clients  sync.WaitGroup
}

func startRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{listener: l}
	r.clients.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.clients.Go(func() { r.talk(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.clients.Wait()
	})
	return r
}

func (r *relay) talk(c net.Conn) {
	defer c.Close()
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	say("220 relay.example")
	in := bufio.NewScanner(c)
	for in.Scan() {
		verb, _, _ := strings.Cut(strings.ToUpper(in.Text()), " ")
		switch verb {
		case "EHLO":
			say("250 relay.example")
		case "DATA":
			say("354 go on")
			r.keep(in)
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// keep reads a message.
func (r *relay) keep(in *bufio.Scanner) {
	header := map[string]string{}
	for body := false; in.Scan() && in.Text() != "."; {
		name, value, found := strings.Cut(in.Text(), ": ")
		body = body || in.Text() == ""
		if !body && found {
			header[name] = value
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mails = append(r.mails, header)
}

// subjects returns those of the mails so far.
func (r *relay) subjects() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, m := range r.mails {
		all = append(all, m["Subject"])
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
	mail := startRelay(t)
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	hook, err := webhook.New(webhook.Config{URL: receiver.URL + "/hook", Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true},
		Success: []int{http.StatusOK}, Verdicts: func(int) retry.Verdict { return retry.VerdictTransient }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hook.Close()) })
	port := mail.listener.Addr().(*net.TCPAddr).Port
	contact, err := email.New(email.Config{From: "tocsin@example.com", To: []string{"contact@example.com"}, Guard: guard,
		Relay: email.Relay{Host: "127.0.0.1", Port: port, Ports: []int{port}, Mode: email.TLSNone}})
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
	eventually("two alert mails", func() bool { return len(mail.subjects()) >= 2 })
	assert.Zero(t, seen.Load(), "head of line: nothing was let by")
	healthy.Store(true)
	last := func() string { all := mail.subjects(); return all[len(all)-1] }
	eventually("the mail about the recovery", func() bool { return last() != mail.subjects()[0] })
	eventually("all events", func() bool { return seen.Load() == 3 })
	assert.Contains(t, mail.subjects()[0], "siem")
	assert.Contains(t, last(), "siem")
	t.Log(mail.subjects()[0], "|", last())
}
