package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("receiver is down")

const s, m, h = time.Second, time.Minute, time.Hour

// receiver is a channel whose destination can be broken and fixed.
type receiver struct {
	channeltest.Recorder
	err atomic.Pointer[error]
}

func (r *receiver) fail(err error) { r.err.Store(&err) }
func (r *receiver) fix()           { r.err.Store(nil) }

func (r *receiver) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	receipt, err := r.Recorder.Send(ctx, d)
	if broken := r.err.Load(); broken != nil {
		err = *broken
	}
	return receipt, err
}

// bundle is an Engine with a Monitor in a synctest bubble.
type bundle struct {
	*dispatcher.Engine
	t       *testing.T
	began   time.Time
	monitor *health.Monitor
	log     *logbook
	n       int
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func start(t *testing.T, o health.Options, routes ...dispatcher.Route) *bundle {
	t.Helper()
	b := &bundle{t: t, began: time.Now(), log: new(logbook)}
	logger := newLogger(b.log)
	o.Logger = logger
	b.monitor = health.New(o)
	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Logger: logger, Observers: []dispatcher.Observer{b.monitor.Observer()}})
	require.NoError(t, err)
	b.Engine = engine
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = engine.Run(ctx) })
	wg.Go(func() { _ = b.monitor.Run(ctx, engine) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return b
}

type access struct {
	Text string `json:"text"`
}

func (access) EventType() event.Type { return "access.granted" }

// dispatch sends an event of that tenant.
func (b *bundle) dispatch(tenant string) event.Event {
	b.t.Helper()
	b.n++
	e := event.Must(access{"payload-must-not-be-logged"}, event.Meta{Tenant: tenant, Subject: "s"})
	require.NoError(b.t, b.Dispatch(b.t.Context(), e))
	return e
}

func (b *bundle) setRoutes(routes ...dispatcher.Route) {
	b.t.Helper()
	require.NoError(b.t, b.SetRoutes(b.t.Context(), routes))
}

// news lists what a route for alerts got, as "type route @ time since the start".
func (b *bundle) news(r *channeltest.Recorder) []string {
	var all []string
	for _, d := range r.Deliveries() {
		e := d.Event
		text := strings.TrimPrefix(string(e.Type()), "tocsin.") + " " + e.Subject() + " @ " + e.Time().Sub(b.began).String()
		all = append(all, text)
	}
	return all
}

// only returns the payload of the only event of its type that r got.
func only[T event.Payload](t *testing.T, r *channeltest.Recorder) T {
	t.Helper()
	var found []T
	for _, d := range r.Deliveries() {
		if p, err := event.Decode[T](d.Event); err == nil {
			found = append(found, p)
		}
	}
	require.Len(t, found, 1)
	return found[0]
}

type logbook struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// lines returns the attributes of each line.
func (l *logbook) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		all = append(all, fields)
	}
	return all
}

// count returns how many lines have this message.
func (l *logbook) count(t *testing.T, msg string) (n int) {
	t.Helper()
	for _, fields := range l.lines(t) {
		if fields["msg"] == msg {
			n++
		}
	}
	return n
}

// lost returns lost_total of the lines that have it.
func (l *logbook) lost(t *testing.T) (all []float64) {
	t.Helper()
	for _, fields := range l.lines(t) {
		if n, ok := fields[dispatcher.AttrLost].(float64); ok {
			all = append(all, n)
		}
	}
	return all
}

// alertRoute is a route that takes the library's own events.
func alertRoute(name string, c channel.Channel) dispatcher.Route {
	return dispatcher.Route{Name: name, Channel: c, Events: event.Types("tocsin.*"), Tenant: dispatcher.AnyTenant}
}

func newLogger(l *logbook) *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
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
