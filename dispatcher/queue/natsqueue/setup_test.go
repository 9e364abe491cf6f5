package natsqueue_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
	"github.com/tocsin-go/tocsin/event"
)

func TestConfigErrorNamesTheField(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1).URL())
	for _, c := range []struct {
		field  string
		config natsqueue.Config
	}{
		{"Replicas", natsqueue.Config{}},
		{"Replicas", natsqueue.Config{Replicas: 2}},
		{"Name", natsqueue.Config{Replicas: 1, Name: "a.b"}},
		{"Name", natsqueue.Config{Replicas: 1, Name: strings.Repeat("a", 33)}},
		{"Name", natsqueue.Config{Replicas: 1, Name: "ä"}},
		{"IDWindow", natsqueue.Config{Replicas: 1, IDWindow: time.Millisecond}},
		{"Lease", natsqueue.Config{Replicas: 1, Lease: time.Millisecond}},
		{"Timeout", natsqueue.Config{Replicas: 1, Timeout: -1}},
	} {
		_, err := natsqueue.New(t.Context(), nc, c.config)
		var bad *channel.ConfigError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, c.field, bad.Path)
		assert.Equal(t, "natsqueue", bad.Package)
	}
	_, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Name: "a.b", Lease: 1, Timeout: -1})
	var paths []string
	_ = channel.EditConfigErrors(err, func(e *channel.ConfigError) { paths = append(paths, e.Path) })
	assert.Equal(t, []string{"Name", "Replicas", "Lease", "Timeout"}, paths, "every mistake at once")
}

func TestSetUpIsVersioned(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1).URL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for _, c := range []struct{ name, version, found string }{{"newer", "3", "3"}, {"foreign", "", ""}} {
		config := jetstream.StreamConfig{Name: c.name + "-jobs", Subjects: []string{c.name + ".ready.>"}}
		if c.version != "" {
			config.Metadata = map[string]string{"tocsin.version": c.version}
		}
		_, err := js.CreateStream(t.Context(), config)
		require.NoError(t, err)
		_, err = natsqueue.New(t.Context(), nc, natsqueue.Config{Name: c.name, Replicas: 1})
		var version *natsqueue.VersionError
		require.ErrorAs(t, err, &version)
		assert.Equal(t, c.found, version.Found)
	}
}

func TestSetUpFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1).URL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for _, window := range []time.Duration{time.Minute, time.Hour, time.Hour} {
		q, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Replicas: 1, IDWindow: window})
		require.NoError(t, err)
		t.Cleanup(q.Close)
		s, err := js.Stream(t.Context(), "tocsin-jobs")
		require.NoError(t, err)
		c := s.CachedInfo().Config
		assert.Equal(t, window, c.Duplicates)
		assert.Equal(t, jetstream.WorkQueuePolicy, c.Retention)
		assert.Equal(t, jetstream.DefaultPersistMode, c.PersistMode)
	}
	_, err = natsqueue.New(t.Context(), nc, natsqueue.Config{Name: "three", Replicas: 3})
	require.Error(t, err, "one server cannot keep three replicas, and nobody should get fewer than asked for")
}

func TestEventThatIsTooLarge(t *testing.T) {
	t.Parallel()
	small := func(o *server.Options) { o.MaxPayload = 64 << 10 }
	q := openFor(t, store("1", "jobs", natstest.New(t, 1, small).URL()))
	big := queue.Job{Lane: "lane", Event: event.Must(event.GrantRevoked{Reason: strings.Repeat("x", 64<<10)}, event.Meta{ID: "big"})}
	err := q.Enqueue(t.Context(), jobFor("lane", "small"), big)
	var large *natsqueue.TooLargeError
	require.ErrorAs(t, err, &large)
	assert.Equal(t, "big", large.EventID)
	c, err := q.Count(t.Context(), "lane")
	require.NoError(t, err)
	assert.Zero(t, c, "nothing of the call is stored")
}

// An event that the server just takes leaves no room for what a retry or a dead letter adds to its message. It must not
// keep its worker forever: Enqueue refuses what could not be settled.
func TestEventAtTheServersLimitCanBeSettled(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	c := natstest.New(t, 1, func(o *server.Options) { o.MaxPayload = limit })
	q := openFor(t, store("1", "jobs", c.URL()))
	runs := make(chan int, 100)
	openLane(t, q, "lane", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		runs <- j.Attempt
		if j.Attempt == 0 {
			return queue.Disposition{Action: queue.Retry, Delay: 10 * time.Millisecond, Began: time.Now()}
		}
		return queue.Disposition{Action: queue.Dead, Began: time.Now(), Reason: strings.Repeat("because ", 1000)}
	})
	stored := false
	for size := limit; size > 0 && !stored; size -= 64 {
		e := event.Must(event.GrantRevoked{Reason: strings.Repeat("x", size)}, event.Meta{Subject: "grant"})
		err := q.Enqueue(t.Context(), queue.Job{Event: e, Lane: "lane", Enqueued: time.Now()})
		if err != nil {
			require.ErrorAs(t, err, new(*natsqueue.TooLargeError))
		}
		if stored = err == nil; !stored {
			err = q.Schedule(t.Context(), "key", queue.Job{Event: e, Lane: "lane", NotBefore: time.Now().Add(time.Hour)})
			require.ErrorAs(t, err, new(*natsqueue.TooLargeError))
		}
	}
	require.True(t, stored)
	for want := range 2 {
		select {
		case attempt := <-runs:
			require.Equal(t, want, attempt)
		case <-time.After(patience):
			require.Fail(t, "the job cannot be settled", "attempt %d", want)
		}
	}
	require.Eventually(t, func() bool {
		n, err := q.Count(t.Context(), "lane")
		return err == nil && n.Dead == 1 && n.Running == 0
	}, patience, 10*time.Millisecond)
}

// The limit counts everything a message has: an event that fits is refused with what would not fit beside it.
func TestHeadersCountForTheServersLimit(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	q := openFor(t, store("1", "jobs", c.URL()))
	j := jobFor("lane", "a")
	j.Headers = map[string]string{"trace": strings.Repeat("x", 60<<10)}
	err := q.Enqueue(t.Context(), j)
	var large *natsqueue.TooLargeError
	require.ErrorAs(t, err, &large)
	assert.EqualValues(t, 64<<10, large.Limit)
	for _, part := range []string{"65536", "max_payload", "event id a"} {
		assert.Contains(t, err.Error(), part)
	}
	j.Headers = nil
	require.NoError(t, q.Enqueue(t.Context(), j))
}

// Servers that serve no JetStream, at all or not to this account, are named as what they are, long before the timeout.
func TestNoJetStream(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*server.Options){
		"servers": func(o *server.Options) { o.JetStream = false },
		"account": func(o *server.Options) {
			without := server.NewAccount("WITHOUT")
			o.Accounts = []*server.Account{without}
			o.Users = []*server.User{{Username: "worker", Password: "password", Account: without}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := natstest.New(t, 1, change)
			nc := natstest.Connect(t, c.URL(), nats.UserInfo("worker", "password"))
			began := time.Now()
			_, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Replicas: 1, Timeout: time.Minute})
			var none *natsqueue.ServerError
			require.ErrorAs(t, err, &none)
			require.Error(t, errors.Unwrap(none))
			assert.Contains(t, err.Error(), "jetstream block")
			assert.Less(t, time.Since(began), 20*time.Second)
		})
	}
}

// Credentials and TLS are the connection's, which the host makes.
func TestCredentialsAndTLSPassThrough(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	c := natstest.New(t, 1, func(o *server.Options) {
		o.TLS, o.TLSConfig, o.Username, o.Password = true, certified.TLS, "worker", "password"
	})
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	nc := natstest.Connect(t, c.URL(), nats.UserInfo("worker", "password"), nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	q, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Replicas: 1})
	require.NoError(t, err)
	t.Cleanup(q.Close)
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	l.await(t, 1)
}

// Q1: without servers Enqueue says within its timeout that nothing is sure, and says it again when asked again.
func TestNoServer(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	q, err := natsqueue.New(t.Context(), natstest.Connect(t, c.URL()), natsqueue.Config{Replicas: 1, Timeout: 500 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(q.Close)
	c.Stop(0)
	for range 2 {
		err = q.Enqueue(t.Context(), jobFor("lane", "a"))
		var unsure *natsqueue.StoreError
		require.ErrorAs(t, err, &unsure)
		assert.Error(t, errors.Unwrap(unsure))
	}
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0)) // succeeds; serving begins when a server is there
	c.Start(0)
	require.Eventually(t, func() bool { return q.Enqueue(t.Context(), jobFor("lane", "a")) == nil }, patience, 10*time.Millisecond)
	l.await(t, 1)
	l.settled(t, 0)
}

// A job of a newer version is left to newer workers; what is no job is kept among the dead letters, and holds
// nobody up.
func TestMessagesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t, natstest.New(t, 1).URL())
	q, err := natsqueue.New(t.Context(), nc, natsqueue.Config{Replicas: 1, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(q.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "tocsin.ready.lane.job", []byte("no job"))
	require.NoError(t, err)
	m := nats.NewMsg("tocsin.ready.lane.job")
	m.Header.Set("Tocsin-Job", "2 something new")
	_, err = js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "good")))
	l := newLedger()
	openLane(t, q, "lane", 4, l.handler(0))
	l.await(t, 1)
	require.Eventually(t, func() bool {
		c, err := q.Count(t.Context(), "lane")
		return err == nil && c.Dead == 1 && c.Due+c.Running == 1
	}, patience, 10*time.Millisecond)
	letters, err := q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	assert.Empty(t, letters)
	assert.EqualValues(t, 1, natstest.State(t, nc, "tocsin-dead").Msgs)
}

// Two processes that give one id to two events learn it where the two meet.
func TestQ2ConflictBetweenProcesses(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	one, other := openFor(t, s), openFor(t, s)
	require.NoError(t, one.Enqueue(t.Context(), jobFor("lane", "a")))
	require.NoError(t, other.Enqueue(t.Context(), jobFor("lane", "a")), "the same event is known")
	third := openFor(t, s)
	j := jobFor("lane", "a")
	j.Event = event.Must(event.GrantRevoked{Reason: "another"}, event.Meta{ID: "a", Subject: "subject"})
	var conflict *queue.ConflictError
	require.ErrorAs(t, third.Enqueue(t.Context(), j), &conflict)
	assert.Equal(t, "a", conflict.EventID)
}
