package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/internal/watch"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Defaults of Options.
const (
	DefaultDeadAge  = 30 * 24 * time.Hour
	DefaultIDWindow = 65_536
)

// Options configure a Queue. The zero value is ready for use.
type Options struct {
	// DeadAge is how long a dead letter is kept that becomes dead from now on, in a lane whose bound does not say; 0 =
	// DefaultDeadAge, 30 days; negative = forever.
	DeadAge  time.Duration
	IDWindow int          // about how many of the latest events have ids that are known; 0 = DefaultIDWindow, 65,536
	Logger   *slog.Logger // notified when the file cannot be used, and when it can again; nil = slog.Default

	clock func() time.Time // nil = time.Now
}

// Queue keeps jobs in a SQLite file; its methods are as queue.Queue says. All are safe for concurrent use.
//
// When the file cannot be written the error is a *StoreError. A call of Enqueue of up to a thousand jobs and about 4
// MiB, less on a disk below 512 MiB, is one transaction. More is stored in several, so that other calls are not held
// up: an error, or a crash, may then leave its first events stored, each with all its jobs. Repeating the call stores
// the others. When an event is in conflict, nothing at all is stored. When ctx ends during a call, its jobs may be
// stored all the same.
//
// What the handler of a scheduled job enqueues with its ctx makes that job one that has started, in the same
// transaction: even if the process ends then, Cancel does not claim to have stopped it.
type Queue struct {
	jobQueue                // what package durable makes of the store
	durable  *durable.Queue // the same
	store    *store

	closing sync.Once
	closed  error
	leases  leases
	watches watch.Hub[manage.Change] // of documents
}

// jobQueue keeps the embedded field out of reach.
type jobQueue = queue.Queue

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
	s := &store{path: path, log: o.Logger}
	s.known.limit = o.IDWindow
	if s.known.limit <= 0 {
		s.known.limit = DefaultIDWindow
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if o.DeadAge == 0 {
		o.DeadAge = DefaultDeadAge
	}
	clock := reading(o.clock)
	stored, err := s.connect(ctx, dsn(path, parameters), clock().Wall)
	if err != nil {
		return nil, openError(path, err)
	}
	jobs := durable.New(durable.Config{
		Store: s, Log: s.log, Clock: clock, ErrClosed: ErrClosed, Lanes: stored, LastNum: s.seq, DeadAge: o.DeadAge,
		Chunk: s.volume.chunk(), Work: s.volume.work(),
		Properties: queue.Properties{
			Durable:     true,
			Precision:   50 * time.Millisecond,
			IDWindow:    fmt.Sprintf("about the latest %d events, restarts or not", s.known.limit),
			KeyedOrder:  true,
			Urgency:     true,
			MovedTimes:  true,
			Bounded:     true,
			DeadBounded: true,
			Scheduling:  true,
			Inspection:  true,
		},
	})
	return &Queue{jobQueue: jobs, durable: jobs, store: s}, nil
}

// reading is the clock, with another wall clock if that is not nil.
func reading(wall func() time.Time) func() lanes.Reading {
	read := lanes.System()
	if wall == nil {
		return read
	}
	return func() lanes.Reading {
		r := read()
		r.Wall = wall().UnixNano()
		return r
	}
}

// connect opens the file, and counts what each lane holds.
func (s *store) connect(ctx context.Context, name string, wall int64) (stored []durable.StoredLane, err error) {
	var undo []func() error
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				_ = f() // the first error is the one that counts
			}
		}
	}()
	if s.owner, err = own(ctx, s.path); err != nil {
		return nil, err
	}
	undo = append(undo, s.owner.release)
	written := lastWritten(s.path)
	s.volume = volumeOf(s.path)
	if s.conn, err = openWriter(ctx, name, s.path, s.volume); err != nil {
		return nil, err
	}
	undo = append(undo, s.conn.close)
	if err = s.followBack(written, wall); err != nil {
		return nil, err
	}
	if s.readers, err = openReaders(ctx, name); err != nil {
		return nil, err
	}
	undo = append(undo, s.readers.close)
	if err := s.owner.watch(); err != nil {
		return nil, err
	}
	return s.restore(ctx)
}

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

// Close stores the outcomes that are under way, and gives the file back. Stop the lanes first: Close stops those that
// are open at once, as queue.Lane.Stop does when its ctx is done. Calls after Close are ErrClosed.
func (q *Queue) Close() error {
	q.closing.Do(func() { q.closed = q.close() })
	return q.closed
}

func (q *Queue) close() error {
	q.watches.Close()
	err := errors.Join(q.durable.Close(), q.store.readers.close())
	moved := q.store.moved
	if moved == nil {
		moved = q.store.owner.verify()
	}
	// The last one to be closed moves the log into the file.
	return errors.Join(err, storeError("close", errors.Join(moved, q.store.conn.close())), storeError("close", q.store.owner.release()))
}

// write returns once f's change is on the disk, with a *StoreError if it is not, or when ctx is done: then it may still
// get there, and f may still run. A failed transaction calls f again.
func (q *Queue) write(ctx context.Context, op string, f func(*tx) error) error {
	return q.durable.Change(ctx, op, 1, 0, func(t durable.Tx) error {
		own, _ := t.(*tx)
		return f(own)
	})
}

// add is write for so many rows with so many bytes in all, which are refused when they would take the room that
// outcomes need.
func (q *Queue) add(ctx context.Context, op string, rows, bytes int, f func(*tx) error) error {
	return q.durable.Change(ctx, op, rows, bytes, func(t durable.Tx) error {
		own, _ := t.(*tx)
		if err := own.room(rows, bytes); err != nil {
			if errors.Is(err, errNoRoom) {
				err = durable.Refuse(err)
			}
			return err
		}
		return f(own)
	})
}
