package sqlitequeue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// planOf is how SQLite goes about a query.
func planOf(t *testing.T, q *Queue, text string, args ...any) string {
	t.Helper()
	var steps []string
	require.NoError(t, q.store.readers.history.read(t.Context(), func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			step, _ := v[3].(string)
			steps = append(steps, step)
			return true
		}, "EXPLAIN QUERY PLAN "+text, args...)
	}))
	return strings.Join(steps, "; ")
}

// A page looks at the entries of its tenant, route, subject or event only, in their order, and in an index as long as
// they do not match.
func TestHistoryPagesUseAnIndex(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	route := channel.RouteID{Tenant: "a", Name: "r"}
	rest := history.Query{Type: "t", Status: 1, Since: time.Unix(1, 0), Until: time.Unix(2, 0)}
	rest.Outcomes = append(rest.Outcomes, "o")
	with := func(set func(*history.Query)) history.Query {
		r := rest
		set(&r)
		return r
	}
	const (
		owner    = "SEARCH history USING COVERING INDEX history_owner (tenant=?"
		byRoute  = "SEARCH history USING COVERING INDEX history_route (tenant=? AND route=?"
		subject  = "SEARCH history USING INDEX history_subject (subject=? AND tenant=?"
		event    = "SEARCH history USING INDEX history_told (told=?"
		platform = "SEARCH history USING INTEGER PRIMARY KEY (rowid"
		sorted   = "TEMP B-TREE"
	)
	for what, tc := range map[string]struct {
		q    history.Query
		plan string
		sort bool // the few that there are
	}{
		"no tenant":      {history.Query{}, owner, false},
		"a tenant":       {history.Query{Tenant: "a"}, owner, false},
		"its filters":    {with(func(q *history.Query) { q.Tenant = "a" }), owner, false},
		"its next page":  {with(func(q *history.Query) { q.Tenant, q.Before = "a", 7 }), owner + " AND seq>? AND seq<?", false},
		"its route":      {with(func(q *history.Query) { q.Tenant, q.Route, q.Before = "a", route, 7 }), byRoute + " AND seq>? AND seq<?", false},
		"any route":      {with(func(q *history.Query) { q.Tenant, q.Route = channel.AnyTenant, route }), byRoute, false},
		"its subject":    {with(func(q *history.Query) { q.Tenant, q.Subject, q.Route, q.Before = "a", "s", route, 7 }), subject + " AND rowid>? AND rowid<?", false},
		"any subject":    {with(func(q *history.Query) { q.Tenant, q.Subject = channel.AnyTenant, "s" }), strings.TrimSuffix(subject, " AND tenant=?"), true},
		"an event":       {with(func(q *history.Query) { q.Tenant, q.EventID, q.Subject = "a", "e", "s" }), event, true},
		"an entry":       {with(func(q *history.Query) { q.Tenant, q.Seq = "a", 7 }), platform + "=?", false},
		"everything":     {history.Query{Tenant: channel.AnyTenant}, platform + ">?", false},
		"its next pages": {with(func(q *history.Query) { q.Tenant, q.Before = channel.AnyTenant, 7 }), platform + ">? AND rowid<?", false},
	} {
		from, args, err := selected(tc.q, bySeq)
		require.NoError(t, err)
		plan := planOf(t, q, "SELECT seq FROM "+from+" ORDER BY seq DESC LIMIT 10", args...)
		assert.Contains(t, plan, tc.plan, what)
		assert.NotContains(t, plan, "SCAN history", what)
		assert.Equal(t, tc.sort, strings.Contains(plan, sorted), "%s: %s", what, plan)
		if tc.q.Tenant != channel.AnyTenant && tc.q.EventID == "" && tc.q.Subject == "" && tc.q.Seq == 0 {
			plan = planOf(t, q, "SELECT time, outcome, count(*) FROM "+from+" GROUP BY 1, 2", args...)
			assert.Contains(t, plan, "COVERING", "totals of %s", what)
		}
	}
	from, args, err := selected(history.Query{Tenant: channel.AnyTenant, Since: time.Unix(1, 0), Until: time.Unix(2, 0)}, byTime)
	require.NoError(t, err)
	plan := planOf(t, q, "SELECT time, outcome, count(*) FROM "+from+" GROUP BY 1, 2", args...)
	assert.Contains(t, plan, "SEARCH history USING COVERING INDEX history_time (time>? AND time<?", "totals of everything")
	for _, from := range []string{"history_time WHERE time < 1", "history_owner WHERE tenant = 'a'", "history_route WHERE tenant = 'a' AND route = 'r'"} {
		plan := planOf(t, q, "SELECT seq, told, bytes, tenant FROM history INDEXED BY "+from+" ORDER BY seq LIMIT 10")
		assert.Contains(t, plan, "SEARCH history USING INDEX", from)
	}
}

// A file of the third schema gets its entries counted, and bodies of the previous form are read.
func TestHistoryInAFileOfTheThirdSchema(t *testing.T) {
	t.Parallel()
	q := openAt(t, unpack(t, "history3.db"))
	s := q.History()
	found, err := s.Query(t.Context(), history.Query{Tenant: channel.AnyTenant})
	require.NoError(t, err)
	require.Len(t, found, 3)
	assert.Equal(t, []byte(`{"a":1}`), found[2].Request.Body)
	assert.Equal(t, []byte("later"), found[2].Response.Body)
	assert.Equal(t, []byte{0, 255}, found[1].Response.Body)
	assert.True(t, found[1].Response.Truncated)
	assert.EqualValues(t, 2, rowsOf(t, q, "history_tenant"))
	n, err := s.Prune(t.Context(), history.Retention{TenantEntries: 1})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	n, err = s.Prune(t.Context(), history.Retention{TenantBytes: 100})
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Zero(t, rowsOf(t, q, "history_tenant")+rowsOf(t, q, "told"))
}

// Many tenants lose one entry each in a few transactions, and what tenants that are gone leave in the file is used
// again.
func TestHistoryForgetsNames(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	s := q.History()
	e := kilobyte("e")
	pages := func() (used int64) {
		require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) (err error) {
			used, err = c.number("SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count")
			return err
		}))
		return used
	}
	before := pages()
	const rounds, tenants = 8, 500
	for round := range rounds {
		batch := make([]history.Entry, tenants)
		for i := range batch {
			batch[i] = history.Entry{Time: time.Unix(int64(round), 0), Route: channel.RouteID{Tenant: fmt.Sprint(round*tenants + i), Name: "r"}, Event: e}
		}
		require.NoError(t, s.Append(t.Context(), batch...))
		n, err := s.Prune(t.Context(), history.Retention{Entries: tenants})
		require.NoError(t, err)
		assert.Equal(t, min(round, 1)*tenants, n)
	}
	assert.Equal(t, int64(2*tenants), rowsOf(t, q, "history_tenant")+rowsOf(t, q, "history"))
	n, err := s.Prune(t.Context(), history.Retention{Before: time.Unix(rounds, 0)})
	require.NoError(t, err)
	assert.Equal(t, tenants, n)
	left := (pages() - before) * pageSize
	t.Logf("%d names leave %d bytes in the file", rounds*tenants, left)
	assert.LessOrEqual(t, left, int64(64<<10))
}

// BenchmarkHistoryPage: a page of a tenant, in a file with 100,000 entries, costs the same among any number of tenants.
func BenchmarkHistoryPage(b *testing.B) {
	for _, tenants := range []int{10, 10_000} {
		q, err := Open(b.Context(), b.TempDir()+"/queue.db", Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer q.Close()
		fillHistory(b, q, tenants)
		s := q.History()
		for name, page := range map[string]history.Query{
			"tenant": {Tenant: "7", Limit: 3}, "route": {Tenant: "7", Route: channel.RouteID{Tenant: "7", Name: "1"}, Limit: 3},
			"cursor": {Tenant: "7", Before: 90_000, Limit: 3}, "entry": {Tenant: "7", Seq: 8}, "all": {Tenant: channel.AnyTenant, Before: 50_000, Limit: 3},
			"nothing": {Tenant: "7", Status: 999},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, tenants), func(b *testing.B) {
				for b.Loop() {
					if found, err := s.Query(b.Context(), page); err != nil || len(found) == 0 && name != "nothing" {
						b.Fatal(len(found), err)
					}
				}
			})
		}
		for _, tenant := range []string{"7", channel.AnyTenant} {
			b.Run(fmt.Sprintf("totals of %s/%d", tenant, tenants), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Totals(b.Context(), history.Query{Tenant: tenant, Since: time.Unix(0, 0), Until: time.Unix(100_000, 0)}, time.Hour); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("prune nothing/%d", tenants), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Prune(b.Context(), history.Retention{Entries: 100_000, TenantEntries: 10_000}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func fillHistory(b *testing.B, q *Queue, tenants int) {
	b.Helper()
	e := kilobyte("e")
	batch := make([]history.Entry, 1000)
	for i := range 100_000 {
		batch[i%1000] = history.Entry{Time: time.Unix(int64(i), 0), Event: e, Outcome: "delivered",
			Route: channel.RouteID{Tenant: fmt.Sprint(i % tenants), Name: fmt.Sprint(i / tenants % 3)}}
		if i%1000 == 999 {
			if err := q.History().Append(context.Background(), batch...); err != nil {
				b.Fatal(err)
			}
		}
	}
}
