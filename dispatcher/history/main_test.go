package history_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("receiver is down")

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

type note struct {
	Text string `json:"text"`
}

func (note) EventType() event.Type { return "note.made" }

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

// lines returns the message and lost_total of each line.
func (l *logbook) lines(t *testing.T) (messages []string, lost []float64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.buf.Bytes()) {
		var fields struct {
			Msg  string  `json:"msg"`
			Lost float64 `json:"lost_total"`
		}
		require.NoError(t, json.Unmarshal(line, &fields))
		messages, lost = append(messages, fields.Msg), append(lost, fields.Lost)
	}
	return messages, lost
}

// gated is a store whose Appends wait, or fail, as long as the test wants.
type gated struct {
	*history.Memory
	mu    sync.Mutex
	err   error
	gate  chan struct{} // nil = open
	calls int
}

func (g *gated) set(err error, gate chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.gate = err, gate
}

func (g *gated) Append(ctx context.Context, entries ...history.Entry) error {
	g.mu.Lock()
	g.calls++
	err, gate := g.err, g.gate
	g.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	return g.Memory.Append(ctx, entries...)
}

// bundle is an Engine whose history is recorded.
type bundle struct {
	*dispatcher.Engine
	store    history.Store
	recorder *history.Recorder
}

func start(t *testing.T, s history.Store, o history.Options, routes ...dispatcher.Route) *bundle {
	t.Helper()
	recorder, err := history.NewRecorder(s, o)
	require.NoError(t, err)
	engine, err := dispatcher.New(dispatcher.Config{
		Routes: routes, Logger: slog.New(slog.DiscardHandler), Observers: []dispatcher.Observer{recorder.Observer()},
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = engine.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ran
		require.NoError(t, recorder.Close(context.Background()))
	})
	return &bundle{Engine: engine, store: s, recorder: recorder}
}

// query returns the selected entries, the oldest first.
func query(t *testing.T, s history.Store, q history.Query) []history.Entry {
	t.Helper()
	found, err := s.Query(context.Background(), q)
	require.NoError(t, err)
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}

func everything() history.Query { return history.Query{Tenant: dispatcher.AnyTenant, Limit: 1000} }

func newGated() *gated { return &gated{Memory: history.NewMemory(0)} }

// named is the identity of the route of that name without a tenant.
func named(name string) dispatcher.RouteID { return dispatcher.RouteID{Name: name} }
