package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// ledger is what the channels of one name took, over all the documents that made one.
type ledger struct {
	tried atomic.Int64

	mu       sync.Mutex
	taken    map[string]int // by event id
	problems []string
}

func (l *ledger) take(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[id]++
}

func (l *ledger) problem(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, text)
}

// counter is a channel that writes to a ledger, until the Set that made it is closed.
type counter struct {
	ledger *ledger
	key    string
	closed atomic.Bool
}

var errBusy = errors.New("busy")

// Send implements channel.Channel. Now and then it fails.
func (c *counter) Send(_ context.Context, d channel.Delivery) (channel.Receipt, error) {
	if c.closed.Load() {
		c.ledger.problem("a channel was used after its Set was closed")
	}
	if c.key != "not-a-real-secret" {
		c.ledger.problem("the stored secret is lost")
	}
	if c.ledger.tried.Add(1)%200 == 0 {
		return channel.Receipt{}, errBusy
	}
	c.ledger.take(d.Event.ID())
	return channel.Receipt{}, nil
}

// Close implements io.Closer.
func (c *counter) Close() error {
	c.closed.Store(true)
	return nil
}

func counterType(ledgers map[string]*ledger) config.Type {
	return config.Type{
		Doc: "Counts.",
		Fields: []config.Field{
			{Name: "ledger", Required: true, Destination: true, Doc: "The ledger."},
			{Name: "key", Kind: config.Secret, Doc: "A key."},
		},
		Make: func(s config.Settings, _ config.Environment) (channel.Channel, error) {
			key, err := s.Secret("key").Reveal(context.Background())
			return &counter{ledger: ledgers[s.Text("ledger")], key: key}, err
		},
	}
}

// reloaded is what an administrator makes of the document that is shown: every change gives each route other settings.
func reloaded(shown string, change int) string {
	before, next := fmt.Sprintf("concurrency: %d\n", 1+(change-1)%8), fmt.Sprintf("concurrency: %d\n", 1+change%8)
	return strings.ReplaceAll(shown, before, next)
}

// The document is reloaded 1,000 times during 100,000 events: nothing is lost and nothing doubled, no channel is used
// after its Set was closed, and the secrets, which the documents do not show, stay. Producers and changes keep pace, so
// that there are changes all the time.
func TestSetRoutesFromAReloadedDocument1000TimesDuring100000Events(t *testing.T) {
	t.Parallel()
	const producers, changes, events = 4, 1000, 100_000
	ledgers := map[string]*ledger{}
	document := "channels:\n"
	for _, name := range []string{"everything", "subjects", "tenant"} {
		ledgers[name] = &ledger{taken: map[string]int{}}
		document += "  - {type: counter, name: " + name + ", ledger: " + name + ", key: not-a-real-secret}\n"
	}
	document += `
routes:
  - {name: everything, channel: everything, tenant: "*", concurrency: 1, retry: {interval: 1ms}, backlog: {jobs: 100000}}
  - {name: subjects, channel: subjects, tenant: "*", order: by_subject, concurrency: 1, retry: {interval: 1ms}, backlog: {jobs: 100000}}
  - {name: tenant, channel: tenant, tenant: acme, concurrency: 1, retry: {interval: 1ms}, backlog: {jobs: 100000}}
`
	o := config.Options{Types: config.NewRegistry(map[string]config.Type{"counter": counterType(ledgers)}), Tenants: anyTenant()}
	set, err := config.Load("routes.yaml", []byte(document), o)
	require.NoError(t, err)
	engine, err := dispatcher.New(dispatcher.Config{Routes: set.Routes, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(context.Background()) }()

	pace := make(chan struct{}, 2*producers) // a token for each share of events between two changes
	var wg sync.WaitGroup
	for g := range producers {
		wg.Go(func() {
			for i := range events / producers {
				if i%(events/producers/changes) == 0 {
					<-pace
				}
				m := event.Meta{ID: fmt.Sprintf("%d-%d", g, i), Tenant: []string{"", "acme"}[i%2], Subject: fmt.Sprintf("s%d-%d", g, i%5)}
				assert.NoError(t, engine.Dispatch(context.Background(), event.Must(event.SessionStarted{}, m)))
			}
		})
	}
	for change := range changes {
		for range producers {
			pace <- struct{}{}
		}
		o.Stored = set.Document
		next, err := config.Load("routes.yaml", []byte(reloaded(string(set.Document.YAML()), change+1)), o)
		if !assert.NoError(t, err) {
			continue
		}
		assert.Equal(t, 1+(change+1)%8, next.Routes[0].Concurrency)
		assert.NoError(t, engine.SetRoutes(context.Background(), next.Routes))
		assert.NoError(t, set.Close())
		set = next
	}
	wg.Wait()
	require.Eventually(t, func() bool {
		all, err := engine.Status(t.Context(), dispatcher.StatusFilter{})
		require.NoError(t, err)
		for _, s := range all {
			if s.Queued+s.InFlight > 0 {
				return false
			}
		}
		return true
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, engine.Shutdown(context.Background()))
	require.NoError(t, <-ended)
	require.NoError(t, set.Close())
	for name, want := range map[string]int{"everything": events, "subjects": events, "tenant": events / 2} {
		l := ledgers[name]
		assert.Empty(t, l.problems, name)
		assert.Len(t, l.taken, want, name)
		for id, n := range l.taken {
			if n != 1 {
				assert.Fail(t, fmt.Sprintf("%s: %s was taken %d times", name, id, n))
			}
		}
	}
}
