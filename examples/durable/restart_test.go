package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// These tests look at what an Engine promises across restarts, with a durable queue below it.

var errDown = errors.New("receiver is down")

// program is one run of a product.
type program struct {
	*dispatcher.Engine
	t       *testing.T
	queue   *sqlitequeue.Queue
	stopped chan error
}

func launch(t *testing.T, file string, routes ...dispatcher.Route) *program {
	t.Helper()
	q, err := sqlitequeue.Open(t.Context(), file, sqlitequeue.Options{})
	require.NoError(t, err)
	engine, err := dispatcher.New(dispatcher.Config{Queue: q, Routes: routes, DedupStore: q.Dedup(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	p := &program{Engine: engine, t: t, queue: q, stopped: make(chan error, 1)}
	go func() { p.stopped <- engine.Run(context.WithoutCancel(t.Context())) }()
	return p
}

// end shuts the product down in an orderly way and returns what was left.
func (p *program) end() *dispatcher.ShutdownError {
	p.t.Helper()
	err := p.Shutdown(p.t.Context())
	require.NoError(p.t, <-p.stopped)
	require.NoError(p.t, p.queue.Close())
	if err == nil {
		return nil
	}
	var left *dispatcher.ShutdownError
	require.ErrorAs(p.t, err, &left)
	return left
}

func (p *program) status(route string) dispatcher.RouteStatus {
	p.t.Helper()
	all, err := p.Status(p.t.Context(), dispatcher.StatusFilter{})
	require.NoError(p.t, err)
	for _, s := range all {
		if s.Route.Name == route {
			return s
		}
	}
	require.FailNow(p.t, "no route "+route)
	return dispatcher.RouteStatus{}
}

func wait(t *testing.T, r *channeltest.Recorder, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, r.Wait(ctx, n))
}

func soon(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, 30*time.Second, 5*time.Millisecond, what)
}

// TestRemindersOutlastARestart: schedule at grant, cancel at revoke, whatever happens to the process in between.
func TestRemindersOutlastARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queue.db")
	var rec channeltest.Recorder
	route := dispatcher.Route{Name: "mail", Channel: &rec}
	p := launch(t, file, route)
	at := time.Now().Add(time.Second)
	for n := range 3 {
		e := event.Must(event.GrantExpiringSoon{Grant: grant(n)}, event.Meta{ID: fmt.Sprintf("e%d", n)})
		require.NoError(t, p.Schedule(t.Context(), at, fmt.Sprintf("expiring/grant-%d", n), e))
	}
	was, err := p.Cancel(t.Context(), "expiring/grant-0")
	require.NoError(t, err)
	assert.True(t, was)
	left := p.end()
	require.NotNil(t, left)
	assert.True(t, left.Durable)
	assert.Equal(t, []dispatcher.Left{{Route: dispatcher.RouteID{Name: dispatcher.ScheduleLane}, Queued: 2}}, left.Left)

	p = launch(t, file, route)
	was, err = p.Cancel(t.Context(), "expiring/grant-1")
	require.NoError(t, err)
	assert.True(t, was)
	wait(t, &rec, 1)
	assert.False(t, time.Now().Before(at))
	assert.Nil(t, p.end())
	require.Len(t, rec.Deliveries(), 1)
	assert.Equal(t, "e2", rec.Deliveries()[0].Event.ID())
}

// TestDeadLettersOutlastARestart: one, several, and all of a route since a time are delivered again.
func TestDeadLettersOutlastARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queue.db")
	var down channeltest.Recorder
	for range 12 {
		down.Script(channeltest.Fail(retry.Permanent(errDown)))
	}
	routes := func(c *channeltest.Recorder) []dispatcher.Route {
		return []dispatcher.Route{{Name: "a", Channel: c}, {Name: "b", Channel: c}}
	}
	p := launch(t, file, routes(&down)...)
	for n := range 6 {
		require.NoError(t, p.Dispatch(t.Context(), grants(n, n+1)...))
		soon(t, func() bool { return p.status("a").DeadLetters == n+1 && p.status("b").DeadLetters == n+1 }, "both are dead")
	}
	assert.Nil(t, p.end())

	var up channeltest.Recorder
	p = launch(t, file, routes(&up)...)
	letters, err := p.DeadLetters(t.Context(), dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{{Name: "a"}}})
	require.NoError(t, err)
	require.Len(t, letters, 6)
	assert.Equal(t, "permanent failure: receiver is down", letters[0].Reason)
	for _, again := range []struct {
		name string
		s    dispatcher.DeadLetterFilter
		want int
	}{
		{"one", dispatcher.DeadLetterFilter{IDs: []string{letters[0].ID}}, 1},
		{"several", dispatcher.DeadLetterFilter{IDs: []string{letters[1].ID, letters[2].ID, "unknown"}}, 2},
		{"all of a route since a time", dispatcher.DeadLetterFilter{Routes: []dispatcher.RouteID{{Name: "a"}}, Since: letters[4].At}, 2},
		{"none that is not there any more", dispatcher.DeadLetterFilter{IDs: []string{letters[0].ID}}, 0},
		{"the rest", dispatcher.DeadLetterFilter{}, 7},
	} {
		n, err := p.RedeliverDead(t.Context(), again.s)
		require.NoError(t, err)
		assert.Equal(t, again.want, n, again.name)
	}
	wait(t, &up, 12)
	assert.Nil(t, p.end())
	for _, d := range up.Deliveries() {
		assert.NotZero(t, d.Generation, "it passes dedup")
		assert.Equal(t, 1, d.Attempt)
	}
}

// TestUnknownRoutesWait: a version of the product without a route keeps what it had for one that has it again.
func TestUnknownRoutesWait(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queue.db")
	var a, b channeltest.Recorder
	paused := dispatcher.Route{Name: "a", Channel: &a, State: dispatcher.Paused}
	other := dispatcher.Route{Name: "b", Channel: &b}
	p := launch(t, file, paused, other)
	require.NoError(t, p.Dispatch(t.Context(), grants(0, 5)...))
	wait(t, &b, 5)
	left := p.end()
	require.NotNil(t, left)
	assert.Equal(t, []dispatcher.Left{{Route: dispatcher.RouteID{Name: "a"}, Queued: 5}}, left.Left)

	p = launch(t, file, other)
	require.NoError(t, p.Dispatch(t.Context(), grants(5, 6)...))
	wait(t, &b, 6)
	left = p.end()
	require.NotNil(t, left)
	assert.Equal(t, []dispatcher.Left{{Route: dispatcher.RouteID{Name: "a"}, Queued: 5}}, left.Left, "nobody asked for them")
	assert.Empty(t, a.Deliveries())

	paused.State = dispatcher.Enabled
	p = launch(t, file, paused, other)
	wait(t, &a, 5)
	assert.Nil(t, p.end())
	assert.Len(t, b.Deliveries(), 6, "nothing came twice")
}

// TestRetriesGoOnAfterARestart: with the attempts made so far. What Status says begins anew, for it is about this run.
func TestRetriesGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queue.db")
	var down, up channeltest.Recorder
	down.Script(channeltest.Fail(errDown))
	route := func(c *channeltest.Recorder) dispatcher.Route {
		return dispatcher.Route{Name: "a", Channel: c, Retry: retry.Fixed{Interval: time.Second}}
	}
	p := launch(t, file, route(&down))
	require.NoError(t, p.Dispatch(t.Context(), grants(0, 1)...))
	wait(t, &down, 1)
	soon(t, func() bool { return p.status("a").Failed == 1 }, "it is noted")
	assert.False(t, p.status("a").FailingSince.IsZero())
	left := p.end()
	require.NotNil(t, left)
	assert.Equal(t, []dispatcher.Left{{Route: dispatcher.RouteID{Name: "a"}, Queued: 1}}, left.Left)

	p = launch(t, file, route(&up))
	s := p.status("a")
	assert.True(t, s.FailingSince.IsZero())
	assert.Zero(t, s.Failed)
	assert.Equal(t, 1, s.Queued+s.InFlight+int(s.Delivered))
	wait(t, &up, 1)
	assert.Equal(t, 2, up.Deliveries()[0].Attempt)
	assert.Nil(t, p.end())
}

// TestDedupOutlastsARestart.
func TestDedupOutlastsARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queue.db")
	var rec channeltest.Recorder
	route := dispatcher.Route{Name: "a", Channel: &rec}
	route.Dedup.Window = time.Hour
	fact := func(id string) event.Event { return event.Must(event.GrantActive{Grant: grant(1)}, event.Meta{ID: id}) }
	p := launch(t, file, route)
	require.NoError(t, p.Dispatch(t.Context(), fact("e1")))
	wait(t, &rec, 1)
	assert.Nil(t, p.end())
	p = launch(t, file, route)
	require.NoError(t, p.Dispatch(t.Context(), fact("e2")))
	soon(t, func() bool { return p.status("a").Skipped == 1 }, "the same fact under another id is suppressed")
	assert.Nil(t, p.end())
	assert.Len(t, rec.Deliveries(), 1)
}
