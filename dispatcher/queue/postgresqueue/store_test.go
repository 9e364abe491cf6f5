package postgresqueue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

func job(id, lane string) queue.Job {
	return queue.Job{Event: kilobyte(id), Lane: lane, Enqueued: time.Now()}
}

// rowsOf counts the rows of a table.
func rowsOf(t *testing.T, q *Queue, table string) (n int) {
	t.Helper()
	b := q.store.db.batch()
	b.add("SELECT count(*) FROM tocsin." + table).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	require.NoError(t, q.store.db.read(t.Context(), b))
	return n
}

func script(t *testing.T, q *Queue, text string) {
	t.Helper()
	require.NoError(t, execute(t.Context(), serverURL(t), strings.ReplaceAll(text, "tocsin.", q.store.db.schema+".")))
}

// cleanNow removes what has outlived its time, in the writer's goroutine.
func cleanNow(t *testing.T, q *Queue) {
	t.Helper()
	require.NoError(t, q.durable.Change(t.Context(), "clean", 1, 0, func(durable.Tx) error { return q.store.clean() }))
}

// An event is stored once for all its lanes, and goes with the last of its jobs, in whichever process that runs.
func TestEventsAreStoredOnce(t *testing.T) {
	t.Parallel()
	one := newQueue(t)
	two := openAt(t, serverURL(t), one.store.db.schema)
	var jobs []queue.Job
	for i := range 6 {
		jobs = append(jobs, job("e1", fmt.Sprint("lane", i)))
	}
	require.NoError(t, one.Enqueue(t.Context(), jobs...))
	assert.Equal(t, 1, rowsOf(t, one, "event"))
	assert.Equal(t, 6, rowsOf(t, one, "job"))
	for i := range 6 {
		q := []*Queue{one, two}[i%2]
		_, err := q.Open(fmt.Sprint("lane", i), queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return rowsOf(t, one, "event") == 0 }, patience, 20*time.Millisecond)
}

// What a crash leaves is found: events that nobody refers to, ids and records that have outlived their time.
func TestCleans(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	script(t, q, `INSERT INTO tocsin.event (seq, worker, keyed, jobs, format, body) SELECT n, 0, false, 1, 1, '' FROM generate_series(1, 5000) n;
		INSERT INTO tocsin.known (key, digest, lanes, at) SELECT gen_random_uuid(), 0, '', now() - interval '25 hours' FROM generate_series(1, 2500);
		INSERT INTO tocsin.known (key, digest, lanes, at) SELECT gen_random_uuid(), 0, '', now() - interval '23 hours' FROM generate_series(1, 10);
		INSERT INTO tocsin.record (kind, key, ends) SELECT 2, convert_to(n::text, 'UTF8'), now() - interval '1 second' FROM generate_series(1, 10) n;
		INSERT INTO tocsin.request (lane, below, waits, made, answer) VALUES (1, 0, true, now() - interval '1 hour', 1),
			(1, 0, true, now() - interval '1 hour', NULL);
		INSERT INTO tocsin.lane (name) VALUES ('a');
		INSERT INTO tocsin.dead (lane, job, seq, generation, attempt, urgent, died, ends, reason) VALUES (1, 'j', 1, 0, 0, false, 1, 2, 'because')`)
	for range 4 {
		cleanNow(t, q)
	}
	for table, want := range map[string]int{"event": 0, "known": 10, "record": 0, "request": 0, "dead": 0} {
		assert.Equal(t, want, rowsOf(t, q, table), table)
	}
}

func TestMailProgressOutlastsARestart(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	k := email.Key{Tenant: "acme", Route: "mail", Delivery: "d"}
	require.NoError(t, q.MailProgress().Put(t.Context(), k, []byte("state")))
	q = reopen(t, q)
	state, found, err := q.MailProgress().Get(t.Context(), k)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, []byte("state"), state)
}

// Cancel and Purge of a lane that another process has are done there, and what was cancelled or purged does not run.
func TestCancelsAndPurgesElsewhere(t *testing.T) {
	t.Parallel()
	owner := newQueue(t)
	other := openAt(t, serverURL(t), owner.store.db.schema)
	l, err := owner.Open("a", queue.LaneOptions{}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
	require.NoError(t, err)
	require.Eventually(t, func() bool { return owner.store.isMine("a") }, patience, time.Millisecond)

	later := job("e1", "a")
	later.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, other.Schedule(t.Context(), "key", later))
	found, err := other.Cancel(t.Context(), "a", "key")
	require.NoError(t, err)
	assert.True(t, found)
	found, err = other.Cancel(t.Context(), "a", "key")
	require.NoError(t, err)
	assert.False(t, found)
	found, err = other.Cancel(t.Context(), "unheard of", "key")
	require.NoError(t, err)
	assert.False(t, found)

	first := job("e2", "a")
	first.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, other.Schedule(t.Context(), "key", first))
	second := job("e3", "a")
	second.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, other.Schedule(t.Context(), "key", second), "in its place")
	require.Eventually(t, func() bool { return rowsOf(t, owner, "job") == 1 }, patience, 5*time.Millisecond)

	require.NoError(t, owner.Enqueue(t.Context(), job("e4", "a"), job("e5", "a")))
	require.NoError(t, other.Enqueue(t.Context(), job("e6", "a")))
	n, err := other.Purge(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	l.Limit(1)
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	c, err := other.Count(t.Context(), "a")
	require.NoError(t, err)
	assert.Zero(t, c)
	assert.Zero(t, rowsOf(t, owner, "request"))
}

// Jobs of one key from two processes run one at a time, and those of a process in its order, whatever commits when.
func TestKeysOfTwoProcesses(t *testing.T) {
	t.Parallel()
	owner := newQueue(t)
	other := openAt(t, serverURL(t), owner.store.db.schema)
	const n = 150
	running, ran := make(chan struct{}, 1), make(chan string, 2*n)
	_, err := owner.Open("a", queue.LaneOptions{Limit: 8}, func(_ context.Context, j queue.Job) queue.Disposition {
		select {
		case running <- struct{}{}:
		default:
			t.Errorf("two jobs of a key run at a time")
		}
		defer func() { <-running }()
		if j.Attempt == 0 && strings.HasSuffix(j.Event.ID(), "5") {
			return queue.Disposition{Action: queue.Retry, Delay: time.Millisecond, Began: time.Now()}
		}
		ran <- j.Event.ID()
		return queue.Disposition{}
	})
	require.NoError(t, err)
	for name, q := range map[string]*Queue{"x": owner, "y": other} {
		go func() {
			for i := range n {
				j := job(fmt.Sprintf("%s-%d", name, i), "a")
				j.OrderKey = "key"
				assert.NoError(t, q.Enqueue(context.Background(), j))
			}
		}()
	}
	next := map[string]int{}
	for range 2 * n {
		name, number, _ := strings.Cut(<-ran, "-")
		assert.Equal(t, fmt.Sprint(next[name]), number, "of %s", name)
		next[name]++
	}
}

// A transaction that stays open holds nobody up, and what it stores is found however many others commit before it does.
func TestLateCommitsAreFound(t *testing.T) {
	t.Parallel()
	owner := newQueue(t)
	other := openAt(t, serverURL(t), owner.store.db.schema)
	ran := make(chan string, 1000)
	_, err := owner.Open("a", queue.LaneOptions{Limit: 4}, func(_ context.Context, j queue.Job) queue.Disposition {
		ran <- j.Event.ID()
		return queue.Disposition{}
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return owner.store.isMine("a") }, patience, time.Millisecond)
	late, err := pgx.Connect(t.Context(), serverURL(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = late.Close(context.Background()) })
	do := func(text string, args ...any) {
		t.Helper()
		_, err := late.Exec(t.Context(), owner.store.db.text(text), args...)
		require.NoError(t, err)
	}
	do("BEGIN")
	do("INSERT INTO tocsin.event (seq, worker, keyed, jobs, format, body) VALUES (nextval('tocsin.event_seq'), 0, false, 1, 1, $1)", kilobyte("late").JSON())
	do(`INSERT INTO tocsin.job (seq, lane, due, generation, attempt, urgent)
		SELECT currval('tocsin.event_seq'), num, 0, 0, 0, false FROM tocsin.lane WHERE name = 'a'`)
	for n := range 200 {
		require.NoError(t, other.Enqueue(t.Context(), job(fmt.Sprint("e", n), "a")))
	}
	for range 200 {
		assert.NotEqual(t, "late", <-ran)
	}
	do("COMMIT")
	assert.Equal(t, "late", <-ran)
}

// A process that only dispatches asks the server for nothing while it is idle.
func TestDispatchingAlone(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	config := poolConfig(t, url)
	var asked tripCounter
	config.ConnConfig.Tracer = &asked
	q, err := Open(t.Context(), config, Options{Schema: newSchema(t, url), Lease: testLease})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	for _, id := range []string{"e1", "e2"} { // what was done after the first call is over with the second
		require.NoError(t, q.Enqueue(t.Context(), job(id, "a")))
	}
	before := asked.Load()
	<-time.After(2 * testLease)
	assert.Equal(t, before, asked.Load())
	assert.Zero(t, rowsOf(t, q, "worker"), "no lease")
}

// Lanes are shared evenly among those that have them open, whoever comes and goes.
func TestSharesLanes(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	o := Options{Schema: newSchema(t, url), Lease: testLease}
	serve := func() *Queue {
		q := openWith(t, url, o)
		for n := range 30 {
			_, err := q.Open(fmt.Sprint("lane", n), queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
			require.NoError(t, err)
		}
		return q
	}
	first := serve()
	awaitEvenShares(t, url, o.Schema, 1, 30)
	serve()
	awaitEvenShares(t, url, o.Schema, 2, 30)
	serve()
	awaitEvenShares(t, url, o.Schema, 3, 30)
	require.NoError(t, first.Close())
	awaitEvenShares(t, url, o.Schema, 2, 30)
}

// A process whose database is gone for longer than its lease starts no jobs, cancels its handlers, and goes on later.
func TestInterruptsBeforeTheLeaseEnds(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	proxy := newProxy(t, url)
	q := openWith(t, proxy.address(), Options{Schema: newSchema(t, url), Lease: testLease, Timeout: time.Second})
	started, cancelled := make(chan struct{}, 10), make(chan time.Time, 10)
	_, err := q.Open("a", queue.LaneOptions{Limit: 1}, func(ctx context.Context, _ queue.Job) queue.Disposition {
		started <- struct{}{}
		<-ctx.Done()
		cancelled <- time.Now()
		return queue.Disposition{}
	})
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a"), job("e2", "a")))
	<-started
	cut := time.Now()
	proxy.setCut(true)
	at := <-cancelled
	assert.Less(t, at.Sub(cut), testLease, "no beat was sent after the cut")
	proxy.setCut(false)
	<-started // whichever, once the lane is this process's again
	require.NoError(t, q.Close())
}
