package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
)

// Defaults of Options.
const (
	DefaultDeadLetters = 10_000
	DefaultDeadAge     = 30 * 24 * time.Hour
	DefaultIDWindow    = 65_536
)

// Options configure a Queue. The zero value is ready for use.
type Options struct {
	DeadLetters int           // most dead letters kept; the oldest goes first; 0 = DefaultDeadLetters, 10,000
	DeadAge     time.Duration // how long one is kept; 0 = DefaultDeadAge, 30 days; negative = for ever
	IDWindow    int           // about how many of the latest events have ids that are known; 0 = DefaultIDWindow, 65,536
	Logger      *slog.Logger  // notified when the file cannot be used, and when it can again; nil = slog.Default

	clock func() time.Time // nil = time.Now
}

// Queue keeps jobs in a SQLite file. All methods are safe for concurrent use.
type Queue struct {
	path      string
	log       *slog.Logger
	deadLimit int
	deadAge   time.Duration

	clock   *clock
	volume  volume
	owner   *owner
	writer  *writer
	readers *readers

	memory *memoryqueue.Queue // runs what is in memory
	loads  *memoryqueue.Queue // runs load
	loader queue.Lane

	mu    sync.Mutex
	lanes map[string]*lane
	byNum map[int64]*lane
	last  int64 // the greatest number of a lane

	openedAt int64 // the seq of the latest event when it was opened

	ahead  int          // mostWindow, or what a test wants
	opened atomic.Int64 // lanes that were opened
	dead   atomic.Int64 // dead letters

	// The writing goroutine's.
	known known
	seq   int64 // of the latest event

	claims  idClaims
	closing sync.Once
	closed  error
	leases  leases
}

var (
	_ queue.Queue     = (*Queue)(nil)
	_ queue.Scheduler = (*Queue)(nil)
	_ queue.Inspector = (*Queue)(nil)
)

// Open opens the queue in the file at path, which is created if there is none, and takes possession of it. ctx is for
// opening only. The folder must be there, and on a local disk. Besides the file there are path-wal, path-shm and
// path-lock; after a crash the file is complete only together with path-wal. A full disk is no obstacle: events are
// refused then, and what is in the file is delivered.
//
// Errors: *LockedError when another queue has the file under whatever name, *LinkedError when it has several names,
// *FolderError when its folder is not there, *SchemaError when a newer version wrote it, *StoreError with ErrReadOnly,
// ErrCorrupt or another problem.
func Open(ctx context.Context, path string, o Options) (*Queue, error) {
	return open(ctx, path, o, url.Values{})
}

// open is Open with parameters for SQLite, which the tests use to look underneath.
func open(ctx context.Context, path string, o Options, parameters url.Values) (*Queue, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, openError(path, err)
	}
	q := &Queue{
		path: path, log: o.Logger, deadAge: o.DeadAge, deadLimit: orDefault(o.DeadLetters, DefaultDeadLetters),
		memory: memoryqueue.New(memoryqueue.Options{IDWindow: 1}), loads: memoryqueue.New(memoryqueue.Options{IDWindow: 1}),
		ahead: mostWindow, clock: newClock(o.clock), lanes: map[string]*lane{}, byNum: map[int64]*lane{},
	}
	q.known.limit = orDefault(o.IDWindow, DefaultIDWindow)
	if q.log == nil {
		q.log = slog.Default()
	}
	if q.deadAge == 0 {
		q.deadAge = DefaultDeadAge
	}
	if err := q.connect(ctx, dsn(path, parameters)); err != nil {
		return nil, openError(path, err)
	}
	return q, nil
}

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

func (q *Queue) connect(ctx context.Context, name string) (err error) {
	var undo []func() error
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				_ = f() // the first error is the one that counts
			}
		}
	}()
	if q.owner, err = own(ctx, q.path); err != nil {
		return err
	}
	undo = append(undo, q.owner.release)
	written := lastWritten(q.path)
	q.volume = volumeOf(q.path)
	writing, err := openWriter(ctx, name, q.path, q.volume)
	if err != nil {
		return err
	}
	undo = append(undo, writing.close)
	if err := q.clock.followBack(writing, written); err != nil {
		return err
	}
	if q.readers, err = openReaders(ctx, name); err != nil {
		return err
	}
	undo = append(undo, q.readers.close)
	if err := q.owner.watch(); err != nil {
		return err
	}
	if err := q.restore(ctx); err != nil {
		return err
	}
	q.loads.Bound(loadLane, queue.Bound{Jobs: math.MaxInt})
	if q.loader, err = q.loads.Open(loadLane, queue.LaneOptions{Limit: 1}, q.loadAsked); err != nil {
		return err
	}
	q.writer = &writer{
		conn: writing, queue: q, log: q.log, wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go q.writer.run()
	q.watchClock()
	return nil
}

// loadLane is the loader's only lane.
const loadLane = ""

// openError makes err a *StoreError that names the file, unless it is of a type of its own.
func openError(path string, err error) error {
	_, locked := errors.AsType[*LockedError](err)
	_, linked := errors.AsType[*LinkedError](err)
	_, newer := errors.AsType[*SchemaError](err)
	_, noFolder := errors.AsType[*FolderError](err)
	if locked || linked || newer || noFolder {
		return err
	}
	return storeError("open "+path, err)
}

// restore reads what is kept in memory besides the jobs.
func (q *Queue) restore(ctx context.Context) error { return q.readers.inspect.read(ctx, q.restoreFrom) }

func (q *Queue) restoreFrom(c *conn) error {
	err := c.each(func(row []driverValue) bool {
		q.newLane(text(row[1]), integer(row[0])).stored = true
		return true
	}, "SELECT num, name FROM lane")
	if err != nil {
		return err
	}
	err = c.each(func(row []driverValue) bool {
		if l := q.byNum[integer(row[0])]; l != nil {
			l.total = int(integer(row[1]))
		}
		return true
	}, "SELECT lane, count(*) FROM job GROUP BY lane")
	if err != nil {
		return err
	}
	if q.seq, err = c.number("SELECT max(seq) FROM event"); err != nil {
		return err
	}
	q.openedAt = q.seq
	dead, err := c.number("SELECT count(*) FROM dead")
	if err != nil {
		return err
	}
	q.dead.Store(dead)
	return q.known.load(c)
}

// Properties implements queue.Queue.
func (q *Queue) Properties() queue.Properties {
	return queue.Properties{
		Durable:    true,
		Precision:  50 * time.Millisecond,
		IDWindow:   fmt.Sprintf("about the latest %d events, restarts or not", q.known.limit),
		KeyedOrder: true,
		Urgency:    true,
		MovedTimes: true,
	}
}

// find returns the lane of that name, nil if there is none: who only looks creates nothing.
func (q *Queue) find(name string) *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lanes[name]
}

// lane returns the lane of that name, which is created on first use.
func (q *Queue) lane(name string) *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lanes[name]; l != nil {
		return l
	}
	return q.newLane(name, q.last+1)
}

// newLane is called with the queue locked. The writer stores the lane's name and number with its first job.
func (q *Queue) newLane(name string, num int64) *lane {
	l := &lane{queue: q, name: name, num: num, held: map[int64]*row{}, tickets: map[int64]bool{}}
	q.lanes[name], q.byNum[num], q.last = l, l, max(q.last, num)
	q.memory.Bound(name, queue.Bound{Jobs: math.MaxInt})
	return l
}

func (q *Queue) numbered(num int64) *lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.byNum[num]
}

// Open implements queue.Queue.
func (q *Queue) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	l := q.lane(name)
	if err := l.start(o, h); err != nil {
		return nil, err
	}
	return l, nil
}

// eventGroup is the jobs of one event that follow each other in one call.
type eventGroup struct {
	fingerprint
	jobs []queue.Job
	body string
}

// eventGroups does in the caller's goroutine what the writer need not do.
func eventGroups(jobs []queue.Job) (all []eventGroup) {
	for len(jobs) > 0 {
		first, n := &jobs[0], 1
		for n < len(jobs) && jobs[n].Generation == first.Generation && jobs[n].Event.SameAs(first.Event) {
			n++
		}
		all = append(all, eventGroup{fingerprintOf(first.Event, first.Generation), jobs[:n], string(first.Event.JSON())})
		jobs = jobs[n:]
	}
	return all
}

// cutGroups cuts off what one transaction takes on, an event with all its jobs at least.
func (q *Queue) cutGroups(all []eventGroup) (first, rest []eventGroup, rows, bytes int) {
	for n := range all {
		more, size := rows+len(all[n].jobs), bytes+len(all[n].body)
		if n > 0 && workOf(more, size) > q.volume.chunk() {
			return all[:n], all[n:], rows, bytes
		}
		rows, bytes = more, size
	}
	return all, nil, rows, bytes
}

// Enqueue implements queue.Queue. When an event is in conflict, nothing at all is stored. When the file cannot be
// written the error is a *StoreError. When ctx ends during the call, the jobs may be stored all the same.
//
// A call of up to a thousand jobs and about 4 MiB, less on a disk below 512 MiB, is one transaction. More is stored in
// several, so that other calls are not held up: an error, or a crash, may then leave its first events stored, each with
// all its jobs. Repeating the call stores the others.
//
// What the handler of a scheduled job enqueues with its ctx makes that job one that has started, in the same
// transaction: even if the process dies then, Cancel does not claim to have stopped it.
func (q *Queue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if err := ctx.Err(); err != nil || len(jobs) == 0 {
		return err
	}
	all, scheduled := eventGroups(jobs), q.startedIn(ctx)
	part, rest, rows, bytes := q.cutGroups(all)
	var claim *idClaim // of a call that takes several transactions
	if len(rest) > 0 {
		claim = &idClaim{groups: all}
		defer q.claims.release(claim)
	}
	for {
		err := q.writer.add(ctx, "store events", rows, bytes, func(t *tx) error {
			if err := t.enqueueAll(part, claim); err != nil {
				return err
			}
			return t.unname(scheduled)
		})
		if err != nil || len(rest) == 0 {
			return err
		}
		part, rest, rows, bytes = q.cutGroups(rest)
	}
}

// Schedule implements queue.Scheduler.
func (q *Queue) Schedule(ctx context.Context, key string, j queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, body := q.lane(j.Route), string(j.Event.JSON())
	return q.writer.add(ctx, "store a scheduled event", 1, len(body), func(t *tx) error {
		if _, err := t.cancel(l, key); err != nil {
			return err
		}
		seq, err := t.putEvent(body, 1)
		if err != nil {
			return err
		}
		r := newRow(&j, seq)
		r.name = key
		return t.put(l, r)
	})
}

// Cancel implements queue.Scheduler.
func (q *Queue) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	l := q.find(lane)
	if l == nil {
		return false, q.readers.inspect.over()
	}
	var found bool
	err := q.writer.write(ctx, "cancel a scheduled event", func(t *tx) (err error) {
		found, err = t.cancel(l, key)
		return err
	})
	if err != nil {
		return false, err // and found may still be written to
	}
	return found, nil
}

// Close stores the outcomes that are under way, and gives the file back. Stop the lanes first: Close stops those that
// are open without waiting, as queue.Lane.Stop does when its ctx is done. Calls after Close are ErrClosed.
func (q *Queue) Close() error {
	q.closing.Do(func() { q.closed = q.close() })
	return q.closed
}

func (q *Queue) close() error {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, l := range q.all() {
		if l.isOpen() {
			wg.Go(func() {
				err := l.Stop(over)
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	wg.Wait()
	errs = append(errs, q.loader.Stop(context.Background()))
	errs = append(errs, q.readers.close())
	// The last one to be closed moves the log into the file.
	errs = append(errs, storeError("close", q.writer.close()), storeError("close", q.owner.release()))
	return errors.Join(errs...)
}

// all returns the lanes by number.
func (q *Queue) all() []*lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]*lane, 0, len(q.lanes))
	for _, l := range q.byNum {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *lane) int { return int(a.num - b.num) })
	return all
}
