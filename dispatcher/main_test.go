package dispatcher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test in which time passes only while everybody waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// advance lets time pass in a bubble, and everything happen that is due by then.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// note is a host's own event. Its text stands for data that must not get into logs.
type note struct {
	N    int    `json:"n"`
	Text string `json:"text,omitempty"`
}

func (note) EventType() event.Type { return "note.made" }

const payloadMark = "payload-must-not-be-logged"

func newNote(n int, m event.Meta) event.Event { return event.Must(note{N: n, Text: payloadMark}, m) }

// notes makes n events without tenant, numbered from 0, with ids of their own.
func notes(n int) []event.Event {
	all := make([]event.Event, n)
	for i := range all {
		all[i] = newNote(i, event.Meta{ID: fmt.Sprintf("e-%d", i)})
	}
	return all
}

// bundle is an Engine with everything that a test wants to know about it.
type bundle struct {
	*dispatcher.Engine
	t     *testing.T
	began time.Time
	seen  *witness
	log   *logbook
	abort context.CancelCauseFunc // ends Run's context
	ended chan struct{}           // closed when Run has returned
	err   error                   // what it returned
}

// setup makes an Engine that does not run yet.
func setup(t *testing.T, routes ...dispatcher.Route) *bundle {
	t.Helper()
	return setupWith(t, dispatcher.Config{Routes: routes})
}

func setupWith(t *testing.T, c dispatcher.Config) *bundle {
	t.Helper()
	b := &bundle{t: t, began: time.Now(), seen: new(witness), log: new(logbook), ended: make(chan struct{})}
	c.Observers = append(c.Observers, b.seen.observer())
	c.Logger = slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	engine, err := dispatcher.New(c)
	require.NoError(t, err)
	b.Engine = engine
	return b
}

// start makes an Engine that runs until the test ends.
func start(t *testing.T, routes ...dispatcher.Route) *bundle {
	t.Helper()
	b := setup(t, routes...)
	b.run()
	return b
}

func (b *bundle) run() {
	ctx, abort := context.WithCancelCause(context.Background())
	b.abort = abort
	go func() {
		defer close(b.ended)
		b.err = b.Run(ctx)
	}()
	b.t.Cleanup(func() {
		abort(nil)
		<-b.ended
	})
}

func (b *bundle) dispatch(events ...event.Event) {
	b.t.Helper()
	require.NoError(b.t, b.Dispatch(context.Background(), events...))
}

func (b *bundle) setRoutes(routes ...dispatcher.Route) {
	b.t.Helper()
	require.NoError(b.t, b.SetRoutes(context.Background(), routes))
}

// statuses are those of all routes.
func (b *bundle) statuses() []dispatcher.RouteStatus {
	b.t.Helper()
	all, err := b.Status(context.Background(), dispatcher.StatusFilter{})
	require.NoError(b.t, err)
	return all
}

// status is that of the route of this name.
func (b *bundle) status(name string) dispatcher.RouteStatus {
	b.t.Helper()
	for _, s := range b.statuses() {
		if s.Route.Name == name {
			return s
		}
	}
	require.Fail(b.t, "no status for route "+name)
	return dispatcher.RouteStatus{}
}

// times says when, since the start, the attempts of a route began.
func (b *bundle) times(route string) []time.Duration {
	var all []time.Duration
	for _, a := range b.seen.attemptsOf(route) {
		all = append(all, a.Began.Sub(b.began))
	}
	return all
}

// witness remembers all that an Observer is notified of.
type witness struct {
	mu         sync.Mutex
	dispatched map[string][]int
	unrouted   []dispatcher.Reason
	attempts   []dispatcher.Attempt
	settled    []dispatcher.Settlement
	settledAt  []time.Time
	disabled   []string
	reasons    []error // of those
}

func (w *witness) observer() dispatcher.Observer {
	return dispatcher.Observer{
		Dispatched: func(e event.Event, routes int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.dispatched == nil {
				w.dispatched = map[string][]int{}
			}
			w.dispatched[e.ID()] = append(w.dispatched[e.ID()], routes)
		},
		Unrouted: func(_ event.Event, r dispatcher.Reason) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.unrouted = append(w.unrouted, r)
		},
		Attempted: func(a dispatcher.Attempt) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.attempts = append(w.attempts, a)
		},
		Settled: func(s dispatcher.Settlement) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.settled = append(w.settled, s)
			w.settledAt = append(w.settledAt, time.Now())
		},
		Disabled: func(d dispatcher.Disablement) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.disabled = append(w.disabled, d.Route.String())
			w.reasons = append(w.reasons, d.Reason)
		},
	}
}

func (w *witness) attemptsOf(route string) []dispatcher.Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []dispatcher.Attempt
	for _, a := range w.attempts {
		if a.Delivery.Route.Name == route {
			all = append(all, a)
		}
	}
	return all
}

func (w *witness) settledOf(route string) []dispatcher.Settlement {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []dispatcher.Settlement
	for _, s := range w.settled {
		if s.Delivery.Route.Name == route {
			all = append(all, s)
		}
	}
	return all
}

func (w *witness) disabledRoutes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.disabled)
}

// disabledFor returns the reasons of those.
func (w *witness) disabledFor() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.reasons)
}

// results counts the settlements of a route by result.
func (w *witness) results(route string) map[dispatcher.Outcome]int {
	n := map[dispatcher.Outcome]int{}
	for _, s := range w.settledOf(route) {
		n[s.Outcome]++
	}
	return n
}

// logbook keeps what is logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines of one level.
func (l *logbook) lines(t *testing.T, level slog.Level) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range bytes.Lines([]byte(l.String())) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(line, &fields))
		if fields["level"] == level.String() {
			found = append(found, fields)
		}
	}
	return found
}

// ids returns the event ids of deliveries, in order.
func ids(deliveries []channel.Delivery) []string {
	var all []string
	for _, d := range deliveries {
		all = append(all, d.Event.ID())
	}
	return all
}

func assertIDs(t *testing.T, want []string, got []channel.Delivery, msg ...any) {
	t.Helper()
	assert.Equal(t, want, ids(got), msg...)
}

// named is the identity of the route of that name without a tenant.
func named(name string) dispatcher.RouteID { return dispatcher.RouteID{Name: name} }

// retry makes the first route try again, as an administrator does.
func (b *bundle) retry(route dispatcher.Route, others ...dispatcher.Route) {
	b.t.Helper()
	paused := route
	paused.State = dispatcher.Paused
	b.setRoutes(append([]dispatcher.Route{paused}, others...)...)
	b.setRoutes(append([]dispatcher.Route{route}, others...)...)
}
