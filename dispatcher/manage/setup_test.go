package manage_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

const patience = 10 * time.Second

var priya = manage.By{Tenant: "acme", Actor: "priya@acme.example"} // read-only

// receiver is an HTTP server that passes on requests.
type receiver struct {
	url    string
	status atomic.Int64
	got    chan received
}

type received struct {
	path   string
	header http.Header
	body   string
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{got: make(chan received, 10_000)}
	r.status.Store(http.StatusOK)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		status := int(r.status.Load())
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "thanks")
		r.got <- received{req.URL.Path, req.Header, string(body)}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	r.url = s.URL
	return r
}

// next waits for a request.
func (r *receiver) next(t testing.TB) received {
	t.Helper()
	select {
	case got := <-r.got:
		return got
	case <-time.After(patience):
		require.Fail(t, "nothing arrived")
		return received{}
	}
}

// loopback are options for documents whose receivers are on this machine.
func loopback(t testing.TB) func(string) config.Options {
	t.Helper()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	o := config.Options{
		Networks: map[string]*netguard.Guard{"public": guard, "lab": guard},
		Limits:   map[string]netguard.Limits{"default": {AllowInsecureHTTP: true}},
	}
	return func(string) config.Options { return o }
}

// audit collects the library's own events.
type audit struct {
	mu  sync.Mutex
	all []event.Event
}

func (a *audit) observer() dispatcher.Observer {
	note := func(e event.Event) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all = append(a.all, e)
	}
	return dispatcher.Observer{
		Dispatched: func(e event.Event, _ int) { note(e) },
		Unrouted:   func(e event.Event, _ dispatcher.Reason) { note(e) },
	}
}

// of lists the events of a type.
func (a *audit) of(typ event.Type) []event.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	var some []event.Event
	for _, e := range a.all {
		if e.Type() == typ {
			some = append(some, e)
		}
	}
	return some
}

// bundle is a Service that runs.
type bundle struct {
	*manage.Service

	documents manage.Documents
	audit     *audit
}

// options makes those of a Service for tests.
func options(t testing.TB, d manage.Documents) manage.Options {
	t.Helper()
	return manage.Options{Documents: d, Plaintext: true, Config: loopback(t), Logger: slog.New(slog.DiscardHandler), Replica: "one"}
}

// start makes a Service and runs it until the end of the test.
func start(t testing.TB, o manage.Options) *bundle {
	t.Helper()
	b := &bundle{documents: o.Documents, audit: new(audit)}
	o.Engine.Observers = append(o.Engine.Observers, b.audit.observer())
	o.Documents = keepOpen{o.Documents}
	if o.Engine.Queue != nil {
		o.Engine.Queue = keepOpenQueue{o.Engine.Queue}
	}
	s, err := manage.New(t.Context(), o)
	require.NoError(t, err)
	b.Service = s
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		b.shutdown(t)
		if err := <-stopped; !errors.Is(err, dispatcher.ErrShutdown) { // the test was over at once
			require.NoError(t, err)
		}
	})
	return b
}

func (b *bundle) shutdown(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	err := b.Shutdown(ctx)
	if _, left := errors.AsType[*dispatcher.ShutdownError](err); !left {
		require.NoError(t, err)
	}
}

// keepOpen is a store that several Services share.
type keepOpen struct{ manage.Documents }

// keepOpenQueue is a queue that outlasts a Service.
type keepOpenQueue struct{ queue.Queue }

// webhook is a channel and a route of its name.
func webhook(name, url, events string) manage.ChannelInput {
	c, _ := json.Marshal(map[string]any{"type": "webhook", "name": name, "url": url})
	in := manage.ChannelInput{Channel: c}
	if events != "" {
		r, _ := json.Marshal(map[string]any{"name": name, "events": []string{events}})
		in.Routes = []json.RawMessage{r}
	}
	return in
}

func create(t testing.TB, s *bundle, by manage.By, in manage.ChannelInput) manage.Channel {
	t.Helper()
	c, created, err := s.Create(t.Context(), by, in)
	require.NoError(t, err)
	require.True(t, created)
	return c
}

// pending is an event of a tenant.
func pending(t testing.TB, tenant string) event.Event {
	t.Helper()
	sample, _ := event.Sample(event.TypeRequestPending)
	data, err := event.Decode[event.RequestPending](sample)
	require.NoError(t, err)
	e, err := event.New(data, event.Meta{Tenant: tenant})
	require.NoError(t, err)
	return e
}

func dispatch(t testing.TB, s *bundle, tenant string) event.Event {
	t.Helper()
	e := pending(t, tenant)
	require.NoError(t, s.Dispatch(t.Context(), e))
	return e
}

// eventually waits for a condition that nothing announces.
func eventually(t testing.TB, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, holds, patience, 5*time.Millisecond, what)
}

// failure returns err as a Service's.
func failure(t testing.TB, err error, code manage.Code) *manage.Error {
	t.Helper()
	e, ok := errors.AsType[*manage.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}
