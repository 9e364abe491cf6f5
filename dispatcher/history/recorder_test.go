package history_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Style 1: history per webhook: invocation time, trigger, success or failure, request and response, drill-down into
// one.
func TestStyle1HistoryPerWebhook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now().UTC()
		var rec channeltest.Recorder
		request := &channel.Message{Start: "POST https://hooks.example", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"a":1}`)}
		refused := channel.Receipt{Status: 503, Request: request, Response: &channel.Message{Start: "503 Service Unavailable", Body: []byte("later")}}
		taken := channel.Receipt{Status: 200, ProviderID: "p-1", Request: request, Response: &channel.Message{Start: "200 OK"}}
		rec.Script(func(context.Context, channel.Delivery) (channel.Receipt, error) {
			<-time.After(3 * time.Second)
			return refused, errDown
		}, channeltest.Succeed(taken))
		b := start(t, history.NewMemory(0), history.Options{},
			dispatcher.Route{Name: "hook", Channel: &rec, Retry: retry.Fixed{Interval: time.Minute}},
			dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)})
		e := event.Must(event.RequestApproved{}, event.Meta{Subject: "req-1"})
		require.NoError(t, b.Dispatch(t.Context(), e))
		advance(time.Hour)
		got := query(t, b.store, history.Query{Route: named("hook")})
		require.Len(t, got, 2)
		assert.Equal(t, history.Entry{
			Seq: got[0].Seq, Time: began, Duration: 3 * time.Second, Route: dispatcher.RouteID{Name: "hook"}, Event: e, Attempt: 1, Outcome: dispatcher.Failed,
			Verdict: "transient", Error: "receiver is down", Next: time.Minute, Status: 503, Request: request, Response: refused.Response,
		}, got[0])
		assert.Equal(t, history.Entry{
			Seq: got[1].Seq, Time: began.Add(63 * time.Second), Route: dispatcher.RouteID{Name: "hook"}, Event: e, Attempt: 2, Outcome: dispatcher.Delivered,
			Verdict: "success", Status: 200, ProviderID: "p-1", Request: request, Response: taken.Response,
		}, got[1])
		assert.Equal(t, event.TypeRequestApproved, got[1].Event.Type(), "the trigger")
		assert.Equal(t, rec.Deliveries()[0].ID(), got[1].DeliveryID(), "as the receiver saw it")

		failed := query(t, b.store, history.Query{Route: named("hook"), Outcomes: []dispatcher.Outcome{dispatcher.Failed}})
		require.Len(t, failed, 1)
		assert.Equal(t, failed, query(t, b.store, history.Query{Seq: failed[0].Seq}), "drill down into one")
		assert.Len(t, query(t, b.store, history.Query{Subject: "req-1", Type: event.TypeRequestApproved, EventID: e.ID()}), 3)
	})
}

// What is kept of a test event says that it is one.
func TestHistoryOfATest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, history.NewMemory(0), history.Options{}, dispatcher.Route{Name: "hook", Tenant: "acme", Channel: new(channeltest.Recorder)})
		test, err := event.SampleForTest(event.TypeRequestApproved, event.Meta{Tenant: "acme"})
		require.NoError(t, err)
		require.NoError(t, b.Dispatch(t.Context(), test))
		synctest.Wait()
		got := query(t, b.store, everything())
		require.Len(t, got, 1)
		form, err := json.Marshal(got[0])
		require.NoError(t, err)
		var back history.Entry
		require.NoError(t, json.Unmarshal(form, &back))
		assert.True(t, back.Event.IsTest())
	})
}

func TestEveryOutcomeIsRecorded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec, paused channeltest.Recorder
		rec.Script(nil, channeltest.Fail(retry.Postpone(errDown, time.Minute)), channeltest.Fail(retry.Permanent(errDown)))
		b := start(t, history.NewMemory(0), history.Options{},
			dispatcher.Route{Name: "r", Tenant: "acme", Channel: &rec, Dedup: channel.DedupOptions{Window: time.Hour}},
			dispatcher.Route{Name: "full", Tenant: dispatcher.AnyTenant, Channel: &paused, State: dispatcher.Paused, Backlog: dispatcher.Backlog{Jobs: 1, Overflow: dispatcher.DropOldest}})
		for _, text := range []string{"a", "a", "b"} { // delivered, skipped, postponed and then refused
			require.NoError(t, b.Dispatch(t.Context(), event.Must(note{text}, event.Meta{Tenant: "acme"})))
			synctest.Wait()
		}
		advance(time.Hour)
		var got []string
		for _, e := range query(t, b.store, everything()) {
			got = append(got, fmt.Sprintf("%s %q %s %s attempt %d: %s%s", e.Route.Name, e.Route.Tenant, e.Outcome, e.Verdict, e.Attempt, e.Error, e.Reason))
		}
		assert.ElementsMatch(t, []string{
			`r "acme" delivered success attempt 1: `,
			`r "acme" skipped success attempt 1: `,
			`r "acme" postponed postponed attempt 1: receiver is down`,
			`r "acme" failed permanent attempt 1: receiver is down`,
			`r "acme" dead  attempt 1: receiver is downpermanent failure: receiver is down`,
			`full "*" dead  attempt 0: dropped: the backlog was full`,
			`full "*" dead  attempt 0: dropped: the backlog was full`,
		}, got)
		assert.Len(t, query(t, b.store, history.Query{Tenant: "acme"}), 5, "a tenant does not see the platform's routes, not even with its own events")
		assert.Empty(t, query(t, b.store, history.Query{}))
	})
}

func TestRedeliverFromHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rec, other channeltest.Recorder
		rec.Script(channeltest.Fail(retry.Permanent(errDown)))
		b := start(t, history.NewMemory(0), history.Options{},
			dispatcher.Route{Name: "r", Channel: &rec, Dedup: channel.DedupOptions{Window: time.Hour}}, dispatcher.Route{Name: "other", Channel: &other})
		e := event.Must(note{"x"}, event.Meta{})
		require.NoError(t, b.Dispatch(t.Context(), e))
		advance(time.Second)
		dead := query(t, b.store, history.Query{Outcomes: []dispatcher.Outcome{dispatcher.Dead}})
		require.Len(t, dead, 1)

		// An entry that went through JSON, as through a durable store, says as much.
		text, err := json.Marshal(dead[0])
		require.NoError(t, err)
		var again history.Entry
		require.NoError(t, json.Unmarshal(text, &again))
		require.NoError(t, again.Redeliver(t.Context(), b))
		advance(time.Second)
		require.NoError(t, again.Redeliver(t.Context(), b), "delivered or not")
		advance(time.Second)
		all := rec.Deliveries()
		require.Len(t, all, 3)
		assert.Equal(t, e.JSON(), all[2].Event.JSON(), "byte for byte")
		assert.Equal(t, all[0].ID(), all[2].ID(), "with the idempotency key of the first")
		assert.Len(t, other.Deliveries(), 1, "and to that route only")
		last := query(t, b.store, history.Query{Route: named("r")})
		assert.NotZero(t, last[len(last)-1].Generation)

		require.NoError(t, b.SetRoutes(t.Context(), nil))
		assert.ErrorAs(t, again.Redeliver(t.Context(), b), new(*dispatcher.RouteError))
	})
}

func TestEntryJSONRoundTrips(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 20, 0, 0, 123_456_789, time.UTC)
	full := history.Entry{Seq: 7, Time: at, Duration: 1, Route: dispatcher.RouteID{Tenant: "t", Name: "r"}, Event: event.Must(note{"x"}, event.Meta{Time: at}), Generation: 1 << 60,
		Attempt: 3, Outcome: dispatcher.Failed, Verdict: "transient", Error: "e", Reason: "r", Next: 2, Status: 503, ProviderID: "p", OutcomeUnknown: true,
		Request:  &channel.Message{Start: "POST", Header: http.Header{"A": {"b"}}, Body: []byte{0, 255}, Truncated: true},
		Response: &channel.Message{}}
	text, err := json.Marshal(full)
	require.NoError(t, err)
	var again history.Entry
	require.NoError(t, json.Unmarshal(text, &again))
	assert.Equal(t, full.Event.JSON(), again.Event.JSON())
	full.Event, again.Event = event.Event{}, event.Event{}
	assert.Equal(t, full, again)
}

// What an earlier version stored is read back.
func TestEntryJSONOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	var e history.Entry
	made := event.Must(note{"x"}, event.Meta{Tenant: "acme"})
	require.NoError(t, json.Unmarshal([]byte(strings.Replace(`{"seq":7,"time":"2026-11-25T20:00:00Z","duration":5,"tenant":"acme","route":"audit",
		"event":EVENT,"attempt":3,"outcome":"failed",
		"request":{"start":"POST","body":"eyJhIjoxfQ=="},"response":{"start":"200 OK","body":"AP8=","truncated":true}}`, "EVENT", string(made.JSON()), 1)), &e))
	assert.Equal(t, made.JSON(), e.Event.JSON())
	assert.Equal(t, dispatcher.RouteID{Tenant: "acme", Name: "audit"}, e.Route)
	assert.Equal(t, 3, e.Attempt)
	assert.Equal(t, `{"a":1}`, string(e.Request.Body))
	assert.Equal(t, []byte{0, 255}, e.Response.Body)
}

func TestBodiesAreCapped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		keep, size, want int
		truncated        bool
	}{
		"short":          {0, 100, 100, false},
		"at the default": {0, 16 << 10, 16 << 10, false},
		"over it":        {0, 16<<10 + 1, 16 << 10, true},
		"own limit":      {10, 11, 10, true},
		"no bodies":      {-1, 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec channeltest.Recorder
				message := &channel.Message{Start: "POST", Header: http.Header{"A": {"b"}}, Body: []byte(strings.Repeat("x", tc.size))}
				rec.Script(channeltest.Succeed(channel.Receipt{Request: message, Response: message}))
				b := start(t, history.NewMemory(0), history.Options{MaxBody: tc.keep}, dispatcher.Route{Name: "r", Channel: &rec})
				require.NoError(t, b.Dispatch(t.Context(), event.Must(note{}, event.Meta{})))
				synctest.Wait()
				got := query(t, b.store, everything())
				require.Len(t, got, 1)
				for _, m := range []*channel.Message{got[0].Request, got[0].Response} {
					assert.Len(t, m.Body, tc.want)
					assert.Equal(t, tc.truncated, m.Truncated)
					assert.Equal(t, "b", m.Header.Get("A"))
				}
				assert.Len(t, message.Body, tc.size, "the receipt is shared, and left as it is")
			})
		})
	}
}

// A store that hangs costs entries of the history, and no delivery waits for it.
func TestHistoryNeverBlocksDeliveries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newGated()
		gate := make(chan struct{})
		store.set(nil, gate)
		log := new(logbook)
		var rec channeltest.Recorder
		b := start(t, store, history.Options{Buffer: 100, Logger: slog.New(slog.NewJSONHandler(log, nil))}, dispatcher.Route{Name: "r", Channel: &rec})
		send := func(n int) {
			for range n {
				require.NoError(t, b.Dispatch(t.Context(), event.Must(note{}, event.Meta{})))
			}
			synctest.Wait()
		}
		send(1)
		send(1000)
		assert.Len(t, rec.Deliveries(), 1001, "all are delivered")
		assert.EqualValues(t, 900, b.recorder.Lost(), "one is being stored, and a hundred wait")
		close(gate)
		store.set(nil, nil)
		synctest.Wait()
		assert.Len(t, query(t, store, everything()), 101)
		send(1)
		assert.Len(t, query(t, store, everything()), 102)
		messages, lost := log.lines(t)
		assert.Equal(t, []string{"tocsin: the history loses entries"}, messages, "once a minute at most")
		assert.Equal(t, []float64{900}, lost)
	})
}

func TestStoreThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newGated()
		log := new(logbook)
		b := start(t, store, history.Options{Logger: slog.New(slog.NewJSONHandler(log, nil))}, dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder)})
		send := func() {
			require.NoError(t, b.Dispatch(t.Context(), event.Must(note{}, event.Meta{})))
			synctest.Wait()
		}
		full := errors.New("disk is full")
		store.set(full, nil)
		send()
		advance(5 * time.Second)
		store.set(nil, nil)
		advance(time.Second)
		assert.Len(t, query(t, store, everything()), 1, "it is tried again")
		assert.Zero(t, b.recorder.Lost())
		store.set(full, nil)
		send()
		advance(time.Minute)
		assert.EqualValues(t, 1, b.recorder.Lost(), "but not forever")
		store.set(nil, nil)
		send()
		assert.Len(t, query(t, store, everything()), 2)
		messages, _ := log.lines(t)
		assert.Contains(t, messages, "tocsin: the history cannot be stored")
	})
}

func TestCloseFlushes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newGated()
		gate := make(chan struct{})
		store.set(nil, gate)
		r, err := history.NewRecorder(store, history.Options{})
		require.NoError(t, err)
		attempted := r.Observer().Attempted
		for range 1000 {
			attempted(dispatcher.Attempt{Delivery: channel.Delivery{Event: event.Must(note{}, event.Meta{})}})
		}
		closed := make(chan error, 2)
		go func() { closed <- r.Close(t.Context()) }()
		synctest.Wait()
		assert.Empty(t, closed)
		attempted(dispatcher.Attempt{})
		assert.EqualValues(t, 1, r.Lost(), "too late")
		close(gate)
		require.NoError(t, <-closed)
		assert.Len(t, query(t, store, everything()), 1000)
		require.NoError(t, r.Close(t.Context()), "again")
	})
}

func TestCloseGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newGated()
		store.set(nil, make(chan struct{}))
		r, err := history.NewRecorder(store, history.Options{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		for range 1000 {
			r.Observer().Attempted(dispatcher.Attempt{Delivery: channel.Delivery{Event: event.Must(note{}, event.Meta{})}})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		lost, ok := errors.AsType[*history.LostError](r.Close(ctx))
		require.True(t, ok)
		assert.EqualValues(t, 1000, lost.Entries)
		require.ErrorIs(t, lost, context.DeadlineExceeded)
		assert.EqualError(t, lost, "1000 entries of the history were not stored in time: context deadline exceeded")
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options   history.Options
		perHour   int
		hours     int
		least     int
		mostAfter int
	}{
		"by age":         {history.Options{MaxAge: 10 * time.Hour}, 2, 48, 20, 22},
		"by default age": {history.Options{}, 1, 24 * 60, 720, 722},
		"by count":       {history.Options{Entries: 50, MaxAge: -1}, 3, 100, 50, 55},
		"forever":        {history.Options{Entries: -1, MaxAge: -1}, 1, 24 * 60, 1440, 1440},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := history.NewMemory(1 << 20)
				r, err := history.NewRecorder(store, tc.options)
				require.NoError(t, err)
				for range tc.hours {
					for range tc.perHour {
						r.Observer().Attempted(dispatcher.Attempt{Began: time.Now(), Delivery: channel.Delivery{Event: event.Must(note{}, event.Meta{})}})
						synctest.Wait()
					}
					advance(time.Hour)
				}
				n := 0
				q := everything()
				for {
					page, err := store.Query(t.Context(), q)
					require.NoError(t, err)
					if n += len(page); len(page) < q.Limit {
						break
					}
					q.Before = page[len(page)-1].Seq
				}
				assert.GreaterOrEqual(t, n, tc.least)
				assert.LessOrEqual(t, n, tc.mostAfter)
				require.NoError(t, r.Close(t.Context()))
			})
		})
	}
}

// The recorder's part in an attempt.
func BenchmarkRecord(b *testing.B) {
	r, err := history.NewRecorder(history.NewMemory(0), history.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	attempted := r.Observer().Attempted
	a := dispatcher.Attempt{Delivery: channel.Delivery{Route: channel.RouteID{Name: "r"}, Event: event.Must(note{}, event.Meta{})}, Began: time.Now(), Verdict: retry.VerdictSuccess}
	b.ReportAllocs()
	for b.Loop() {
		attempted(a)
	}
	b.StopTimer()
	if err := r.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*float64(r.Lost())/float64(b.N), "%-lost")
}

// A recorder without a store says so at once, and not by a crash of the goroutine that writes.
func TestRecorderWithoutAStore(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]history.Store{"nil": nil, "a nil pointer": (*history.Memory)(nil)} {
		_, err := history.NewRecorder(store, history.Options{})
		var bad *channel.ConfigError
		require.ErrorAs(t, err, &bad, name)
		assert.Equal(t, "Store", bad.Path)
	}
}
