package sqlitequeue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// kilobyte is an event of about 1 KiB.
func kilobyte(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: strings.Repeat("because ", 80)}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
}

func job(id, route string) queue.Job {
	return queue.Job{Event: kilobyte(id), Lane: route, Enqueued: time.Now()}
}

func jobs(route string, n int) []queue.Job {
	all := make([]queue.Job, n)
	for i := range all {
		all[i] = job(fmt.Sprintf("%s-%d", route, i), route)
	}
	return all
}

// rowsOf counts the rows of a table, as they are on the disk.
func rowsOf(t *testing.T, q *Queue, table string) (n int64) {
	t.Helper()
	require.NoError(t, q.store.readers.inspect.read(t.Context(), func(c *conn) (err error) { n, err = c.number("SELECT count(*) FROM " + table); return err }))
	return n
}

// script runs SQL on the writing connection.
func script(t *testing.T, q *Queue, text string) {
	t.Helper()
	require.NoError(t, q.write(t.Context(), "test", func(tx *tx) error { return tx.script(text) }))
}

// ran records what handlers ran.
type ran struct {
	mu      sync.Mutex
	times   map[string]int // by event id
	changed chan struct{}
}

func newRan() *ran { return &ran{times: map[string]int{}, changed: make(chan struct{}, 1)} }

func (r *ran) done(_ context.Context, j queue.Job) queue.Disposition {
	r.add(j)
	return queue.Disposition{Action: queue.Done}
}

func (r *ran) add(j queue.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times[j.Event.ID()]++
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *ran) ids() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]int, len(r.times))
	for id, n := range r.times {
		all[id] = n
	}
	return all
}

// await returns once n different events came.
func (r *ran) await(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(patience)
	for len(r.ids()) < n {
		select {
		case <-r.changed:
		case <-timeout:
			require.FailNowf(t, "not all jobs ran", "%d of %d within %v", len(r.ids()), n, patience)
		}
	}
}

// serve opens a lane until the test ends.
func serve(t testing.TB, q *Queue, name string, limit int, h queue.Handler) queue.Lane {
	t.Helper()
	l, err := q.Open(name, queue.LaneOptions{Limit: limit}, h)
	require.NoError(t, err)
	return l
}

// eventually asks until ok.
func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, patience, 5*time.Millisecond, what)
}

func count(t *testing.T, q *Queue, lane string) queue.Counts {
	t.Helper()
	c, err := q.Count(t.Context(), lane)
	require.NoError(t, err)
	return c
}

// otherData is an event with the id of kilobyte and other data.
func otherData(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: "another"}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
}

// small is an event that is no more than it has to be.
func small(id string) event.Event {
	return event.Must(event.GrantRevoked{}, event.Meta{ID: id, Subject: "subject"})
}
