package history_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
	"github.com/tocsin-go/tocsin/event"
)

// attempt is one of a tenant's route.
func attempt(tenant, route string) dispatcher.Attempt {
	return dispatcher.Attempt{Began: time.Now(), Delivery: channel.Delivery{
		Route: dispatcher.RouteID{Tenant: tenant, Name: route}, Event: event.Must(note{}, event.Meta{Tenant: tenant}),
	}}
}

// counts returns how many entries each tenant has.
func counts(t *testing.T, s history.Store) map[string]int {
	t.Helper()
	all := map[string]int{}
	q := everything()
	for {
		page, err := s.Query(context.Background(), q)
		require.NoError(t, err)
		for _, e := range page {
			all[e.Route.Tenant]++
		}
		if len(page) < q.Limit {
			return all
		}
		q.Before = page[len(page)-1].Seq
	}
}

// A tenant's flood takes what room there is, and nothing of another's: neither in the store nor in front of it.
func TestAFloodPushesOutItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newGated()
		gate := make(chan struct{})
		store.set(nil, gate)
		r, err := history.NewRecorder(store, history.Options{Buffer: 100, Entries: 50, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		record := r.Observer().Attempted
		record(attempt("first", "r"))
		synctest.Wait() // it is being stored
		for i := range 1000 {
			record(attempt("flood", "r"))
			if i%50 == 0 {
				record(attempt("quiet", "r"))
			}
		}
		assert.EqualValues(t, 920, r.Lost())
		close(gate)
		store.set(nil, nil)
		synctest.Wait()
		assert.Equal(t, map[string]int{"first": 1, "quiet": 20, "flood": 29}, counts(t, store))
		require.NoError(t, r.Close(t.Context()))
	})
}

func TestQuotaOfATenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := history.NewMemory(1 << 20)
		r, err := history.NewRecorder(store, history.Options{TenantEntries: 20, TenantBytes: 1 << 20})
		require.NoError(t, err)
		record := func(tenant string, body int) {
			a := attempt(tenant, "r")
			a.Receipt.Response = &channel.Message{Body: make([]byte, body)}
			r.Observer().Attempted(a)
			synctest.Wait()
		}
		for range 500 {
			record("many", 0)
		}
		for range 19 {
			record("few", 0)
			record("large", 16<<10)
		}
		for range 100 {
			record("large", 16<<10)
		}
		got := counts(t, store)
		assert.Equal(t, 19, got["few"])
		for _, tenant := range []string{"many", "large"} {
			assert.GreaterOrEqual(t, got[tenant], 20)
			assert.LessOrEqual(t, got[tenant], 22, "at most a tenth more")
		}
		require.NoError(t, r.Close(t.Context()))

		r, err = history.NewRecorder(store, history.Options{TenantBytes: 10 * (16 << 10), Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 9, counts(t, store)["large"], "sixteen KiB and the event each")
		require.NoError(t, r.Close(t.Context()))
	})
}

// What a tenant that was deleted has left is gone, also what was on its way.
func TestRecorderRemove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newGated()
		gate := make(chan struct{})
		store.set(nil, gate)
		r, err := history.NewRecorder(store, history.Options{})
		require.NoError(t, err)
		record := r.Observer().Attempted
		record(attempt("a", "r")) // is being stored
		synctest.Wait()
		for range 3 { // wait
			record(attempt("a", "r"))
			record(attempt("a", "s"))
			record(attempt("b", "r"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		n, err := r.Remove(ctx, dispatcher.RouteID{Tenant: "a", Name: "s"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3, n)
		cancel()
		removed := make(chan int)
		go func() {
			n, err := r.Remove(t.Context(), dispatcher.RouteID{Tenant: "a"})
			assert.NoError(t, err)
			removed <- n
		}()
		synctest.Wait()
		close(gate)
		store.set(nil, nil)
		assert.Equal(t, 4, <-removed)
		synctest.Wait()
		assert.Equal(t, map[string]int{"b": 3}, counts(t, store))
		assert.Zero(t, r.Lost())
		require.NoError(t, r.Close(t.Context()))
	})
}

func TestOptionsThatContradictEachOther(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options history.Options
		paths   []string
	}{
		"a quota above all":          {history.Options{TenantEntries: 100_001}, []string{"TenantEntries"}},
		"a quota above all of ours":  {history.Options{TenantEntries: 51, Entries: 50}, []string{"TenantEntries"}},
		"less than one entry":        {history.Options{TenantBytes: 32<<10 - 1}, []string{"TenantBytes"}},
		"both":                       {history.Options{TenantEntries: 2, Entries: 1, TenantBytes: 1}, []string{"TenantEntries", "TenantBytes"}},
		"any number in all":          {history.Options{TenantEntries: 1 << 30, Entries: -1}, nil},
		"little, and no bodies":      {history.Options{TenantBytes: 1, MaxBody: -1}, nil},
		"any number for each tenant": {history.Options{TenantEntries: -1, TenantBytes: -1}, nil},
	} {
		r, err := history.NewRecorder(history.NewMemory(0), tc.options)
		var paths []string
		_ = channel.EditConfigErrors(err, func(e *channel.ConfigError) {
			assert.Equal(t, "history", e.Package)
			assert.NotEmpty(t, e.Remedy)
			paths = append(paths, e.Path)
		})
		assert.Equal(t, tc.paths, paths, name)
		if r != nil {
			require.NoError(t, r.Close(t.Context()))
		}
	}
}

// What tenants that are gone leave is bounded by the entries that are kept, and nothing once they are too old.
func TestMemoryForgetsNames(t *testing.T) {
	const tenants = 100_000
	ctx := t.Context()
	m := history.NewMemory(1000)
	e := event.Must(note{}, event.Meta{})
	before := heap.Used()
	for i := range tenants {
		require.NoError(t, m.Append(ctx, history.Entry{Time: time.Unix(int64(i), 0), Route: dispatcher.RouteID{Tenant: fmt.Sprint("tenant-", i), Name: "r"}, Event: e}))
	}
	assert.Less(t, heap.Used()-before, int64(2<<20), "of a thousand entries")
	n, err := m.Prune(ctx, history.Retention{Before: time.Unix(tenants, 0)})
	require.NoError(t, err)
	assert.Equal(t, 1000, n)
	left := heap.Used() - before
	t.Logf("%d names leave %d bytes", tenants, left)
	assert.Less(t, left, int64(256<<10))
	runtime.KeepAlive(m)
}

func TestSpanErrors(t *testing.T) {
	t.Parallel()
	_, err := history.Query{Since: time.Unix(0, 0), Until: time.Unix(1001, 0)}.Spans(time.Second)
	_, ok := errors.AsType[*history.SpanError](err)
	require.True(t, ok)
	require.EqualError(t, err, "history: totals need other times: 1001 steps, at most 1000 are counted at once")
	_, err = history.Query{Since: time.Unix(0, 0), Until: time.Unix(1<<40, 0)}.Spans(1<<63 - 1)
	require.EqualError(t, err, "history: totals need other times: more than 292 years")
	all, err := history.Query{Since: time.Unix(0, 0), Until: time.Unix(1000, 0)}.Spans(time.Second)
	require.NoError(t, err)
	assert.Len(t, all, 1000)
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		counts             []int
		keep, share, extra int
	}{
		{nil, 5, 0, 0},
		{[]int{10}, 4, 4, 0},
		{[]int{50, 4, 4, 2}, 20, 10, 0},
		{[]int{10, 4, 4, 2}, 9, 2, 1},
		{[]int{5, 5, 5}, 4, 1, 1},
		{[]int{5, 5, 5}, 2, 0, 2},
		{[]int{5, 5, 5}, 14, 4, 2},
	} {
		share, extra := history.Shares(tc.counts, tc.keep)
		assert.Equal(t, [2]int{tc.share, tc.extra}, [2]int{share, extra}, "%v, %d", tc.counts, tc.keep)
	}
}

// BenchmarkPage: the page of a tenant, in a store with 100,000 entries, costs the same among any number of tenants.
func BenchmarkPage(b *testing.B) {
	for _, tenants := range []int{10, 10_000} {
		m := history.NewMemory(100_000)
		e := event.Must(note{}, event.Meta{})
		for i := range 100_000 {
			entry := history.Entry{Time: time.Unix(int64(i), 0), Event: e, Outcome: dispatcher.Delivered,
				Route: dispatcher.RouteID{Tenant: fmt.Sprint(i % tenants), Name: fmt.Sprint(i / tenants % 3)}}
			if err := m.Append(b.Context(), entry); err != nil {
				b.Fatal(err)
			}
		}
		for name, q := range map[string]history.Query{
			"tenant": {Tenant: "7", Limit: 3}, "route": {Tenant: "7", Route: dispatcher.RouteID{Tenant: "7", Name: "1"}, Limit: 3},
			"cursor": {Tenant: "7", Before: 90_000, Limit: 3}, "entry": {Tenant: "7", Seq: 8},
			"all": {Tenant: dispatcher.AnyTenant, Before: 50_000, Limit: 3},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, tenants), func(b *testing.B) {
				for b.Loop() {
					if found, err := m.Query(b.Context(), q); err != nil || len(found) == 0 {
						b.Fatal(len(found), err)
					}
				}
			})
		}
	}
}
