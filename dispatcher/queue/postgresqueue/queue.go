package postgresqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Defaults of Options.
const (
	DefaultSchema   = "tocsin"
	DefaultLease    = 15 * time.Second
	DefaultDeadAge  = 30 * 24 * time.Hour
	DefaultIDWindow = 24 * time.Hour
	DefaultTimeout  = 10 * time.Second
)

// Options configure a Queue. The zero value is ready for use.
type Options struct {
	// Schema is where the tables are: lower case letters, digits and "_", not a digit first; "" = DefaultSchema. All
	// processes that share a queue name the same.
	Schema string
	// NoMigration leaves the schema as it is: a role with more rights calls Migrate.
	NoMigration bool
	// Lease is how long lanes stay with a process that does not answer; 0 = DefaultLease, 15 s; at least MinLease. It
	// is renewed three times as often. All processes should have the same.
	Lease time.Duration
	// Timeout is how long an answer of the server is waited for; 0 = DefaultTimeout, 10 s.
	Timeout time.Duration

	// DeadAge is how long a dead letter is kept, unless its lane's bound says; 0 = DefaultDeadAge, 30 days; below 0
	// = for ever.
	DeadAge  time.Duration
	IDWindow time.Duration // how long a job id is known at least; 0 = DefaultIDWindow, 24 h
	Logger   *slog.Logger  // notified when the database cannot be used, and when it can again; nil = slog.Default

	elapsed func() int64 // nanoseconds since some moment; nil = this machine's clock
}

// MinLease is the least Options.Lease.
const MinLease = 500 * time.Millisecond

func (o Options) withDefaults() (Options, error) {
	if o.Schema == "" {
		o.Schema = DefaultSchema
	}
	if !schemaName.MatchString(o.Schema) {
		return o, configError(channel.CodeInvalid, "Schema", "is no name for a schema", `use lower case letters, digits and "_", such as tocsin`)
	}
	for _, d := range [...]struct {
		name  string
		field *time.Duration
		value time.Duration
		least time.Duration
	}{
		{"Lease", &o.Lease, DefaultLease, MinLease},
		{"Timeout", &o.Timeout, DefaultTimeout, time.Millisecond},
		{"IDWindow", &o.IDWindow, DefaultIDWindow, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
		if *d.field < d.least {
			return o, configError(channel.CodeRange, d.name, fmt.Sprintf("is %v", *d.field), fmt.Sprintf("use at least %v, or 0 for %v", d.least, d.value))
		}
	}
	if o.DeadAge == 0 {
		o.DeadAge = DefaultDeadAge
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.elapsed == nil {
		read := lanes.System()
		o.elapsed = func() int64 { return read().Elapsed }
	}
	return o, nil
}

// Queue keeps jobs in a PostgreSQL database; its methods are as queue.Queue says. All are safe for concurrent use.
//
// When the database cannot be used the error is a *StoreError, and it is safe to repeat the call. A call of Enqueue of
// up to a thousand jobs and about 4 MiB is one transaction. More is stored in several, so that other calls are not held
// up: an error, or a crash, may then leave its first events stored, each with all its jobs. When an event is in
// conflict, nothing at all is stored. When ctx ends during a call, its jobs may be stored all the same.
//
// What the handler of a scheduled job enqueues with its ctx makes that job one that has started, in the same
// transaction: even if the process ends then, Cancel does not claim to have stopped it.
type Queue struct {
	jobQueue                // what package durable makes of the store
	durable  *durable.Queue // the same
	store    *store

	closing      sync.Once
	closedSignal chan struct{}
	closed       error
}

// jobQueue keeps the embedded field out of reach.
type jobQueue = queue.Queue

// Work of a transaction, in rows.
const (
	chunk = 1000
	work  = 4000
)

// Open opens the queue in a database. Any number of processes may have it open. config is copied; the queue has a pool
// of its own, of four connections at least. ctx is for opening only.
//
// Errors: *channel.ConfigError for Options, *SchemaError when a newer version made the schema, *StoreError.
func Open(ctx context.Context, config *pgxpool.Config, o Options) (*Queue, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	d, err := openDatabase(ctx, config, o)
	if err != nil {
		return nil, storeError("open", err)
	}
	if o.NoMigration {
		err = d.check(ctx)
	} else {
		err = d.migrate(ctx, migrations())
	}
	s := &store{
		db: d, log: o.Logger, options: o, clock: &clock{elapsed: o.elapsed},
		nums: map[string]int32{}, names: map[int32]string{},
		ownership: newOwnership(),
	}
	if err == nil {
		err = s.readClock(ctx)
	}
	if err != nil {
		d.close()
		return nil, storeError("open", err)
	}
	jobs := durable.New(durable.Config{
		Store: s, Log: s.log, Clock: s.clock.Reading, ErrClosed: ErrClosed, LastNum: math.MaxInt64, Chunk: chunk, Work: work, DeadAge: o.DeadAge,
		Properties: queue.Properties{
			Durable:     true,
			Precision:   100 * time.Millisecond,
			IDWindow:    fmt.Sprintf("%v, restarts or not, in all processes", o.IDWindow),
			KeyedOrder:  true,
			Urgency:     true,
			Scheduling:  true,
			Inspection:  true,
			Bounded:     true,
			DeadBounded: true,
		},
	})
	q := &Queue{jobQueue: jobs, durable: jobs, store: s, closedSignal: make(chan struct{})}
	s.serve, s.interrupt, s.poll = q.answer, jobs.Interrupt, jobs.Poll
	return q, nil
}

func configError(code channel.ConfigCode, path, problem, remedy string) error {
	return &channel.ConfigError{Package: "postgresqueue", Code: code, Path: path, Problem: problem, Remedy: remedy}
}

// over is ErrClosed once the queue is closed, or the error of ctx.
func (q *Queue) over(ctx context.Context) error {
	select {
	case <-q.closedSignal:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// Cancel implements queue.Queue. When the lane belongs to another process, that one is asked, which takes about 100 ms.
func (q *Queue) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if err := q.over(ctx); err != nil {
		return false, err
	}
	n, err := q.byOwner(ctx, "cancel a scheduled event", lane, []byte(key), func() (int, error) {
		n := 0
		err := q.durable.CancelWithin(ctx, lane, key, math.MaxInt64, func(_ durable.Tx, cancel func() (bool, error)) error {
			found, err := cancel()
			n = number(found)
			return err
		})
		if err != nil {
			return 0, err // and n may still be written to
		}
		return n, nil
	})
	return n > 0, err
}

// Purge implements queue.Queue. When the lane belongs to another process, that one is asked.
func (q *Queue) Purge(ctx context.Context, lane string) (int, error) {
	if err := q.over(ctx); err != nil {
		return 0, err
	}
	return q.byOwner(ctx, "purge a lane", lane, nil, func() (int, error) { return q.durable.Purge(ctx, lane) })
}

// Lanes implements queue.Queue: those that are open in any process, or hold something.
func (q *Queue) Lanes(ctx context.Context) ([]string, error) {
	if err := q.over(ctx); err != nil {
		return nil, err
	}
	names, err := q.store.fullLanes(ctx)
	return names, storeError("list lanes", err)
}

// Count implements queue.Queue. Jobs that run in another process count as due.
func (q *Queue) Count(ctx context.Context, lane string) (queue.Counts, error) {
	if err := q.over(ctx); err != nil {
		return queue.Counts{}, err
	}
	running := q.durable.Running(lane)
	c, err := q.store.count(ctx, lane)
	if err != nil {
		return queue.Counts{}, storeError("count jobs", err)
	}
	return queue.Counts{Due: max(c.total-c.later-running, 0), Later: c.later, Running: running, Dead: c.dead}, nil
}

// Close stores the outcomes that are under way, and hands the lanes over. Stop the lanes first: Close stops those that
// are open at once, as queue.Lane.Stop does when its ctx is done. Calls after Close are ErrClosed.
func (q *Queue) Close() error {
	q.closing.Do(func() { q.closed = q.close() })
	return q.closed
}

func (q *Queue) close() error {
	close(q.closedSignal)
	err := q.durable.Close()
	q.store.serving.Wait()
	handed := storeError("hand the lanes over", q.store.closeOwnership())
	q.store.db.close()
	return errors.Join(err, handed)
}
