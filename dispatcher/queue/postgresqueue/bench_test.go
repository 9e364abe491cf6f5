package postgresqueue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// kilobyte is an event of about 1 KiB.
func kilobyte(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: strings.Repeat("because ", 80)}, event.Meta{ID: id, Tenant: "tenant", Subject: "subject"})
}

const (
	benchProducers = 64
	benchHandlers  = 160
)

// BenchmarkMixed enqueues, runs and settles at once: 64 producers, each event for 1 or for 10 lanes, 160 handlers. The
// floor is a plain table with the event's bytes in each row: one goroutine inserts what waits and deletes what is
// done in one transaction, and hands the rows over in memory. b.N counts jobs. x-floor compares times, x-WAL bytes of
// the log.
func BenchmarkMixed(b *testing.B) {
	for _, lanes := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d-lanes", lanes), func(b *testing.B) {
			floor := measure(b, "e", lanes, newPlain(b))
			b.ReportAllocs()
			b.ResetTimer()
			own := measure(b, "e", lanes, newBenched(b))
			b.StopTimer()
			b.ReportMetric(float64(own.elapsed)/float64(floor.elapsed), "x-floor")
			b.ReportMetric(float64(own.log)/float64(floor.log), "x-WAL")
			b.ReportMetric(own.jobs/own.elapsed.Seconds(), "jobs/s")
			b.ReportMetric(floor.jobs/floor.elapsed.Seconds(), "floor-jobs/s")
			b.ReportMetric(float64(own.client.Microseconds())/own.jobs, "client-µs/job")
			b.ReportMetric(float64(floor.client.Microseconds())/floor.jobs, "floor-client-µs/job")
		})
	}
}

// benched is what BenchmarkMixed measures.
type benched interface {
	// enqueue stores an event for all lanes. done is called once for each job.
	enqueue(e event.Event, lanes int) error
	serve(lanes int, done func())
}

// measurement is what so many jobs took.
type measurement struct {
	jobs            float64
	elapsed, client time.Duration
	log             int64
}

// measure has b.N jobs of events whose ids begin so enqueued, run and settled.
func measure(b *testing.B, name string, lanes int, q benched) measurement {
	b.Helper()
	var done atomic.Int64
	all := make(chan struct{})
	events := (b.N + lanes - 1) / lanes
	q.serve(lanes, func() {
		if done.Add(1) == int64(events*lanes) {
			close(all)
		}
	})
	before, began, cpu := walPosition(b), time.Now(), cpuTime()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchProducers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(events); n = next.Add(1) {
				if err := q.enqueue(kilobyte(fmt.Sprint(name, n)), lanes); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	<-all
	m := measurement{jobs: float64(events * lanes), elapsed: time.Since(began), client: cpuTime() - cpu}
	m.log = walPosition(b) - before
	return m
}

// BenchmarkOpenTransaction is BenchmarkMixed with one lane while a transaction of somebody else stays open, which keeps
// dead rows from being removed: x-without compares the last of three times as many jobs with as many before.
func BenchmarkOpenTransaction(b *testing.B) {
	url := serverURL(b)
	schema := newSchema(b, url)
	var rounds []measurement
	round := func() {
		q := openWith(b, url, Options{Schema: schema, Lease: DefaultLease})
		rounds = append(rounds, measure(b, fmt.Sprintf("round%d-", len(rounds)), 1, benchedQueue{q}))
		require.NoError(b, q.Close())
	}
	round()
	round()
	conn, err := pgx.Connect(b.Context(), url)
	require.NoError(b, err)
	defer func() { _ = conn.Close(context.Background()) }()
	tx, err := conn.BeginTx(b.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(b, err)
	_, err = tx.Exec(b.Context(), "SELECT pg_current_xact_id()")
	require.NoError(b, err)
	for range 3 {
		round()
	}
	require.NoError(b, tx.Rollback(b.Context()))
	b.ReportMetric(float64(rounds[len(rounds)-1].elapsed)/float64(rounds[1].elapsed), "x-without")
	b.ReportMetric(rounds[1].jobs/rounds[1].elapsed.Seconds(), "without-jobs/s")
}

// walPosition is how many bytes the server has logged.
func walPosition(b *testing.B) (n int64) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), serverURL(b))
	require.NoError(b, err)
	defer func() { _ = conn.Close(b.Context()) }()
	require.NoError(b, conn.QueryRow(b.Context(), "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").Scan(&n))
	return n
}

// benchedQueue is the queue.
type benchedQueue struct{ *Queue }

func newBenched(b *testing.B) benched {
	b.Helper()
	url := serverURL(b)
	return benchedQueue{openWith(b, url, Options{Schema: newSchema(b, url), Lease: DefaultLease})}
}

func benchLane(n int) string { return fmt.Sprintf("lane%d", n) }

func (q benchedQueue) enqueue(e event.Event, lanes int) error {
	jobs := make([]queue.Job, lanes)
	now := time.Now()
	for i := range jobs {
		jobs[i] = queue.Job{Event: e, Lane: benchLane(i), Enqueued: now}
	}
	return q.Enqueue(context.Background(), jobs...)
}

func (q benchedQueue) serve(lanes int, done func()) {
	for i := range lanes {
		_, err := q.Open(benchLane(i), queue.LaneOptions{Limit: benchHandlers / lanes}, func(context.Context, queue.Job) queue.Disposition {
			done()
			return queue.Disposition{Action: queue.Done}
		})
		if err != nil {
			panic(err)
		}
		for !q.store.isMine(benchLane(i)) {
			<-time.After(time.Millisecond)
		}
	}
}

// plain is the floor.
type plain struct {
	pool   *pgxpool.Pool
	table  string
	jobs   chan plainRow
	mu     sync.Mutex
	insert []plainRow
	stored []chan struct{}
	remove []int64
	gone   []chan struct{}
	wake   chan struct{}
	seq    int64
}

type plainRow struct {
	seq  int64
	lane int32
	body []byte
}

func newPlain(b *testing.B) benched {
	b.Helper()
	url := serverURL(b)
	schema := newSchema(b, url)
	pool, err := pgxpool.NewWithConfig(b.Context(), poolConfig(b, url))
	require.NoError(b, err)
	p := &plain{pool: pool, table: schema + ".plain", jobs: make(chan plainRow, 1<<20), wake: make(chan struct{}, 1)}
	require.NoError(b, execute(b.Context(), url, "CREATE SCHEMA "+schema+"; CREATE TABLE "+p.table+" (seq bigint PRIMARY KEY, lane int NOT NULL, body bytea NOT NULL)"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.write(b)
	}()
	b.Cleanup(func() {
		close(p.wake)
		<-ended
		close(p.jobs)
		pool.Close()
	})
	return p
}

func (p *plain) enqueue(e event.Event, lanes int) error {
	done := make(chan struct{})
	p.mu.Lock()
	for i := range lanes {
		p.seq++
		p.insert = append(p.insert, plainRow{p.seq, int32(i), e.JSON()})
	}
	p.stored = append(p.stored, done)
	p.mu.Unlock()
	p.signal()
	<-done
	return nil
}

func (p *plain) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *plain) serve(_ int, done func()) {
	for range benchHandlers {
		go func() {
			for row := range p.jobs {
				done()
				gone := make(chan struct{})
				p.mu.Lock()
				p.remove, p.gone = append(p.remove, row.seq), append(p.gone, gone)
				p.mu.Unlock()
				p.signal()
				<-gone
			}
		}()
	}
}

// write commits what waits.
func (p *plain) write(b *testing.B) {
	for range p.wake {
		p.mu.Lock()
		insert, stored, remove, gone := p.insert, p.stored, p.remove, p.gone
		p.insert, p.stored, p.remove, p.gone = nil, nil, nil, nil
		p.mu.Unlock()
		var batch pgx.Batch
		batch.Queue("BEGIN")
		batch.Queue("SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)")
		if len(insert) > 0 {
			seqs, lanes, bodies := make([]int64, len(insert)), make([]int32, len(insert)), make([][]byte, len(insert))
			for i, row := range insert {
				seqs[i], lanes[i], bodies[i] = row.seq, row.lane, row.body
			}
			batch.Queue("INSERT INTO "+p.table+" SELECT * FROM unnest($1::bigint[], $2::int[], $3::bytea[])", seqs, lanes, bodies)
		}
		if len(remove) > 0 {
			batch.Queue("DELETE FROM "+p.table+" WHERE seq = ANY($1::bigint[])", remove)
		}
		batch.Queue("COMMIT")
		if err := p.pool.SendBatch(context.Background(), &batch).Close(); err != nil {
			b.Error(err)
		}
		for _, c := range append(stored, gone...) {
			close(c)
		}
		for _, row := range insert {
			p.jobs <- row
		}
	}
}

// BenchmarkIdle is what three processes with 300 lanes ask of the server while nothing happens.
func BenchmarkIdle(b *testing.B) {
	const idleLanes = 300
	url := serverURL(b)
	schema := newSchema(b, url)
	var asked tripCounter
	for range 3 {
		config := poolConfig(b, url)
		config.ConnConfig.Tracer = &asked
		q, err := Open(b.Context(), config, Options{Schema: schema, Lease: longTestLease})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, q.Close()) })
		for i := range idleLanes {
			_, err := q.Open(benchLane(i), queue.LaneOptions{Limit: 1}, func(context.Context, queue.Job) queue.Disposition { return queue.Disposition{} })
			require.NoError(b, err)
		}
	}
	awaitEvenShares(b, url, schema, 3, idleLanes)
	before, cpu := asked.Load(), cpuTime()
	b.ResetTimer()
	<-time.After(10 * time.Second)
	b.StopTimer()
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(asked.Load()-before)/seconds, "transactions/s")
	b.ReportMetric((cpuTime()-cpu).Seconds()/seconds*100, "client-%-of-a-core")
}

// tripCounter counts round trips.
type tripCounter struct{ atomic.Int64 }

func (c *tripCounter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.Add(1)
	return ctx
}
func (*tripCounter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*tripCounter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (*tripCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}

func (*tripCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// awaitEvenShares waits until each worker has its share of the lanes.
func awaitEvenShares(tb testing.TB, url, schema string, workers, lanes int) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	require.NoError(tb, err)
	defer func() { _ = conn.Close(tb.Context()) }()
	require.Eventually(tb, func() bool {
		var n, least, most int
		err := conn.QueryRow(tb.Context(), "SELECT count(*), coalesce(min(n), 0), coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM "+schema+
			".lane WHERE owner IS NOT NULL GROUP BY owner) s", pgx.QueryExecModeExec).Scan(&n, &least, &most)
		return err == nil && n == workers && least >= lanes/workers && most <= (lanes+workers-1)/workers
	}, 5*time.Minute, 50*time.Millisecond)
}
