package dispatcher_test

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		rec.Script(nil, channeltest.Fail(errDown), channeltest.Fail(retry.Permanent(errDown)), channeltest.Fail(retry.Postpone(errDown, time.Hour)), channeltest.Hang())
		b := start(t,
			dispatcher.Route{Name: "z", Channel: &rec, Tenant: "t", Retry: retry.Fixed{Interval: time.Hour}, Timeout: -1,
				Dedup: channel.DedupOptions{Window: time.Hour}, Concurrency: 1},
			dispatcher.Route{Name: "a", Channel: new(channeltest.Recorder), State: dispatcher.Paused})
		assert.Equal(t, []dispatcher.RouteStatus{{Route: dispatcher.RouteID{Tenant: "t", Name: "z"}, Events: "*"}, {Route: named("a"), Events: "*", State: dispatcher.Paused}}, b.statuses(),
			"in the order configured")
		for i, n := range []int{0, 0, 1, 2, 3, 4, 5} { // delivered, skipped, failed, dead, postponed, hangs, waits
			b.dispatch(newNote(n, event.Meta{Tenant: "t", ID: string(rune('a' + i))}))
			synctest.Wait()
		}
		assert.Equal(t, dispatcher.RouteStatus{
			Route: dispatcher.RouteID{Tenant: "t", Name: "z"}, Events: "*", Queued: 3, InFlight: 1, DeadLetters: 1, Delivered: 1, Skipped: 1, Failed: 2, Dead: 1,
			FailingSince: b.began.Round(0), LastSuccess: b.began.Round(0), LastError: "receiver is down", LastErrorAt: b.began.Round(0),
			P50: 8192, P99: 8192, // the lowest bucket
		}, rounded(b.status("z")))
	})
}

// rounded strips the monotonic clock and the zone, for comparison.
func rounded(s dispatcher.RouteStatus) dispatcher.RouteStatus {
	for _, at := range []*time.Time{&s.FailingSince, &s.LastSuccess, &s.LastErrorAt} {
		if !at.IsZero() {
			*at = at.Round(0).Local()
		}
	}
	return s
}

func TestFailingSince(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec channeltest.Recorder
		fail := channeltest.Fail(errDown)
		rec.Script(nil, fail, fail, channeltest.Fail(retry.Postpone(errDown, time.Minute)), fail, nil, fail)
		route := dispatcher.Route{Name: "r", Channel: &rec, Retry: retry.Fixed{Interval: time.Minute}}
		b := start(t, route)
		all := notes(3)
		b.dispatch(all[0])
		synctest.Wait()
		assert.True(t, b.status("r").FailingSince.IsZero())
		advance(time.Hour)
		b.dispatch(all[1])
		for minute := range 4 {
			synctest.Wait()
			s := b.status("r")
			assert.True(t, s.FailingSince.Equal(b.began.Add(time.Hour)), "minute %d: since the first failure after the last success", minute)
			assert.True(t, s.LastSuccess.Equal(b.began))
			if minute == 2 {
				b.setRoutes(route)
				assert.False(t, b.status("r").FailingSince.IsZero(), "it outlives SetRoutes")
			}
			advance(time.Minute)
		}
		s := b.status("r")
		assert.True(t, s.FailingSince.IsZero(), "cleared by a success")
		assert.True(t, s.LastSuccess.Equal(b.began.Add(time.Hour+4*time.Minute)))
		assert.Equal(t, "receiver is down", s.LastError, "the last error stays to be looked at")
		assert.True(t, s.LastErrorAt.Equal(b.began.Add(time.Hour+3*time.Minute)))
		assert.EqualValues(t, 3, s.Failed, "a postponed attempt is not a failed one")

		b.dispatch(all[2])
		synctest.Wait()
		assert.True(t, b.status("r").FailingSince.Equal(b.began.Add(time.Hour+4*time.Minute)), "a new failure counts anew")
	})
}

// Status asks the lanes side by side and within its context: one that does not answer costs no more than that, and its
// row says so.
func TestStatusWithinItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &silent{Queue: memoryqueue.New(memoryqueue.Options{})}
		var routes []dispatcher.Route
		for i := range 200 {
			routes = append(routes, dispatcher.Route{Name: fmt.Sprint("r", i), Channel: new(channeltest.Recorder)})
		}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: routes})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		rows, err := b.Status(ctx, dispatcher.StatusFilter{})
		assert.Equal(t, 3*time.Second, time.Since(b.began))
		require.EqualError(t, err, "200 lanes could not be counted: context deadline exceeded")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		counts, ok := errors.AsType[*dispatcher.CountError](err)
		require.True(t, ok)
		assert.Equal(t, 200, counts.Lanes)
		assert.LessOrEqual(t, q.asked.Load(), int64(16), "no crowd of questions")
		require.Len(t, rows, 200)
		for i, row := range rows {
			assert.Equal(t, fmt.Sprint("r", i), row.Route.Name)
			assert.Equal(t, []int{-1, -1, -1}, []int{row.Queued, row.InFlight, row.DeadLetters})
		}
	})
}

// brokenLane is a queue that cannot count one of its lanes.
type brokenLane struct {
	*memoryqueue.Queue

	lane string
}

func (q *brokenLane) Count(ctx context.Context, lane string) (queue.Counts, error) {
	if lane == q.lane {
		return queue.Counts{}, errDown
	}
	return q.Queue.Count(ctx, lane)
}

func TestStatusOfALaneThatCannotBeCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &brokenLane{memoryqueue.New(memoryqueue.Options{}), "b"}
		var routes []dispatcher.Route
		for _, name := range []string{"a", "b", "c"} {
			routes = append(routes, dispatcher.Route{Name: name, Channel: new(channeltest.Recorder)})
		}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: routes})
		b.dispatch(notes(2)...)
		rows, err := b.Status(t.Context(), dispatcher.StatusFilter{})
		require.EqualError(t, err, "1 lanes could not be counted: receiver is down")
		assert.Equal(t, []int{2, -1, 2}, []int{rows[0].Queued, rows[1].Queued, rows[2].Queued})
	})
}

// unservedLane is a queue that cannot serve one of its lanes.
type unservedLane struct {
	*memoryqueue.Queue

	lane string
}

func (q *unservedLane) Count(ctx context.Context, lane string) (queue.Counts, error) {
	c, err := q.Queue.Count(ctx, lane)
	if lane == q.lane {
		c.Unserved = "the servers do not answer"
	}
	return c, err
}

func TestStatusOfALaneThatIsNotServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &unservedLane{memoryqueue.New(memoryqueue.Options{}), "b"}
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{
			{Name: "a", Channel: new(channeltest.Recorder)}, {Name: "b", Channel: new(channeltest.Recorder)},
		}})
		rows, err := b.Status(t.Context(), dispatcher.StatusFilter{})
		require.NoError(t, err)
		assert.Equal(t, []string{"enabled", "unserved"}, []string{rows[0].Condition(), rows[1].Condition()})
		assert.Equal(t, "the servers do not answer", rows[1].Unserved)
	})
}

func TestStatusOfSomeRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		route := func(tenant, name string) dispatcher.Route {
			return dispatcher.Route{Name: name, Tenant: tenant, Channel: new(channeltest.Recorder)}
		}
		b := start(t, route("b", "1"), route("", "1"), route(dispatcher.AnyTenant, "1"), route("b", "2"), route("a", "1"))
		id := func(tenant, name string) dispatcher.RouteID { return dispatcher.RouteID{Tenant: tenant, Name: name} }
		for name, tc := range map[string]struct {
			filter dispatcher.StatusFilter
			want   []string
		}{
			"all":                 {dispatcher.StatusFilter{}, []string{"b/1", "b/2", "1", "*/1", "a/1"}},
			"a tenant":            {dispatcher.StatusFilter{Tenants: []string{"b"}}, []string{"b/1", "b/2"}},
			"no tenant":           {dispatcher.StatusFilter{Tenants: []string{""}}, []string{"1"}},
			"the platform":        {dispatcher.StatusFilter{Tenants: []string{dispatcher.AnyTenant}}, []string{"*/1"}},
			"tenants":             {dispatcher.StatusFilter{Tenants: []string{"a", "x", "b", "a"}}, []string{"b/1", "b/2", "a/1"}},
			"routes":              {dispatcher.StatusFilter{Routes: []dispatcher.RouteID{id("a", "1"), id("b", "2"), id("b", "3"), id("x", "1"), id("b", "2")}}, []string{"b/2", "a/1"}},
			"a tenant and routes": {dispatcher.StatusFilter{Tenants: []string{"b"}, Routes: []dispatcher.RouteID{id("b", "2"), id("", "1")}}, []string{"b/1", "b/2", "1"}},
			"none of a list":      {dispatcher.StatusFilter{Tenants: []string{}}, nil},
		} {
			all, err := b.Status(t.Context(), tc.filter)
			require.NoError(t, err)
			var got []string
			for _, s := range all {
				got = append(got, s.Route.String())
			}
			assert.Equal(t, tc.want, got, name)
		}
	})
}

func TestTotals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gone := always(retry.Permanent(channel.ErrGone))
		b := start(t, dispatcher.Route{Name: "ok", Tenant: "a", Channel: new(channeltest.Recorder)},
			dispatcher.Route{Name: "gone", Tenant: "a", Channel: gone}, dispatcher.Route{Name: "bad", Tenant: "b", Channel: refusing()},
			dispatcher.Route{Name: "off", Channel: refusing(), State: dispatcher.Disabled})
		assert.Equal(t, dispatcher.Totals{Routes: 4, Conditions: map[string]int{"enabled": 3, "disabled": 1}}, b.Totals())
		for i := range 3 {
			b.dispatch(newNote(i, event.Meta{Tenant: "a"}), newNote(i, event.Meta{Tenant: "b"}))
			synctest.Wait()
		}
		assert.Equal(t, dispatcher.Totals{Routes: 4, Conditions: map[string]int{"enabled": 2, "disabled": 1, "gone": 1}, Failing: 2,
			Delivered: 3, Failed: 4, Dead: 3}, b.Totals())
	})
}

// What a host shows in a user interface serialises as it is.
func TestJSONForms(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	e := event.Must(event.GrantActive{}, event.Meta{ID: "e-1", Time: at, Tenant: "a"})
	d := channel.Delivery{Event: e, Route: dispatcher.RouteID{Tenant: "a", Name: "r"}, Attempt: 2}
	for want, v := range map[string]any{
		`{"route":{"tenant":"","name":"r"},"events":"*","state":"enabled","queued":0,"in_flight":0,"dead_letters":0,"delivered":0,"skipped":0,"failed":0,"dead":0}`: dispatcher.RouteStatus{Route: named("r"), Events: "*"},
		`{"route":{"tenant":"a","name":"r"},"destination":"https://x.example","events":"*","state":"paused","gone":true,"open_until":"2026-11-25T20:00:00Z","queued":-1,"in_flight":0,"dead_letters":0,"delivered":1,"skipped":0,"failed":0,"dead":0,"last_success":"2026-11-25T20:00:00Z","p50":1000}`: dispatcher.RouteStatus{
			Route: d.Route, Destination: "https://x.example", Events: "*", State: dispatcher.Paused, Gone: true, OpenUntil: at, Queued: -1, Delivered: 1, LastSuccess: at, P50: 1000},
		`{"delivery":{"event":` + string(e.JSON()) + `,"route":{"tenant":"a","name":"r"},"attempt":2},"receipt":{"status":503,"duration":5,"response":{"start":"503","body_text":"later"}},"outcome":"failed","began":"2026-11-25T20:00:00Z","duration":7,"next":9,"verdict":"transient","error":"receiver is down"}`: dispatcher.Attempt{
			Context: t.Context(), Delivery: d, Receipt: channel.Receipt{Status: 503, Duration: 5, Response: &channel.Message{Start: "503", Body: []byte("later")}},
			Outcome: dispatcher.Failed, Err: errDown, Verdict: retry.VerdictTransient, Began: at, Duration: 7, Next: 9},
		`{"delivery":{"event":` + string(e.JSON()) + `,"route":{"tenant":"a","name":"r"},"attempt":2},"outcome":"dead","reason":"too old","error":"receiver is down"}`: dispatcher.Settlement{
			Delivery: d, Outcome: dispatcher.Dead, Reason: "too old", Err: errDown},
	} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	for text, v := range map[string]any{"disabled": dispatcher.Disabled, "by_subject": dispatcher.BySubject, "strict": dispatcher.Strict} {
		got, err := v.(encoding.TextMarshaler).MarshalText()
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	var state dispatcher.State
	require.NoError(t, state.UnmarshalText([]byte("paused")))
	assert.Equal(t, dispatcher.Paused, state)
	require.Error(t, state.UnmarshalText([]byte("by_subject")))
	var order dispatcher.Order
	require.NoError(t, order.UnmarshalText([]byte("by_subject")))
	assert.Equal(t, dispatcher.BySubject, order)
}
