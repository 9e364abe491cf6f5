package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// mostChanges is how many calls one commit takes in, and volume.work how much work, at most: few enough that none waits
// long for the others. Work counts rows, and pages of events.
const mostChanges = 512

// writer is the one goroutine that changes the file. It takes all the changes that wait, applies them in one
// transaction, and answers them all once that is on the disk: the disk's slowest operation is shared by all who wait
// for it.
type writer struct {
	conn  *conn
	queue *Queue
	log   *slog.Logger
	wake  chan struct{} // has room for one
	ended chan struct{}

	commits  atomic.Int64 // transactions that are on the disk
	failing  bool         // the last one was not
	noRoom   bool         // the last new events were refused
	moved    error        // the file is no longer where it was: nothing is written any more
	cleaned  time.Time    // when housekeeping was last done
	leftOver bool         // it did not get to the end

	longReader time.Time // when the log could not be emptied, because somebody read from it

	mu      sync.Mutex
	waiting []*change
	closed  bool
}

// change is one call's part of a transaction. A failed transaction calls apply again, so it must not count on what it
// did before; what it does to memory goes through tx.undo and tx.then.
type change struct {
	apply   func(*tx) error
	work    int
	adds    int64 // about how many bytes of new events, which are refused before the disk is full; 0 = an outcome
	refused error // what a *refusal of apply holds, or errNoRoom
	done    chan error
}

// refusal is the error of an apply that has changed nothing: it fails its own call and not the transaction.
type refusal struct{ error }

// write returns once f's change, an outcome or the like, is on the disk, with a *StoreError if it is not, or when ctx
// is done: then it may still get there, and f may still run.
func (w *writer) write(ctx context.Context, op string, f func(*tx) error) error {
	return w.submit(ctx, op, &change{apply: f, work: 1})
}

// add is write for so many rows with bodies of so many bytes in all, which are refused when they would take the room
// that outcomes need.
func (w *writer) add(ctx context.Context, op string, rows, bytes int, f func(*tx) error) error {
	size := int64(bytes)*5/4 + int64(rows)*rowBytes
	return w.submit(ctx, op, &change{apply: f, work: workOf(rows, bytes), adds: size})
}

// rowBytes is about what a job or an entry takes besides its event: in its table, its indexes and the log.
const rowBytes = 1024

func workOf(rows, bytes int) int { return rows + bytes/pageSize }

func (w *writer) submit(ctx context.Context, op string, c *change) error {
	c.done = make(chan error, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.waiting = append(w.waiting, c)
	w.mu.Unlock()
	w.signal()
	select {
	case err := <-c.done:
		if no, ok := errors.AsType[*refusal](c.refused); ok {
			return no.error
		}
		if c.refused != nil {
			err = c.refused
		}
		return storeError(op, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run commits until the writer is closed and nothing waits.
func (w *writer) run() {
	defer close(w.ended)
	for range w.wake {
		for {
			w.followClock()
			batch, closed := w.take()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			w.commit(batch)
			w.housekeep()
			w.shorten()
		}
	}
}

// take returns the changes of the next commit, one at least if any waits.
func (w *writer) take() (batch []*change, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, work, most := 0, 0, w.queue.volume.work()
	for n < min(len(w.waiting), mostChanges) && (n == 0 || work+w.waiting[n].work <= most) {
		work += w.waiting[n].work
		n++
	}
	batch, w.waiting = w.waiting[:n:n], w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	return batch, w.closed
}

// commit stores a batch. When one of its changes fails, the others are tried without it, so that nobody fails for
// another's sake. When the file cannot be written at all, they fail together: a lock that another program holds is
// waited for once, and not by each.
func (w *writer) commit(batch []*change) {
	for len(batch) > 0 {
		ok, err := w.try(batch)
		if code(err)&primary == sqlite3.SQLITE_FULL {
			w.emptyLog()
			ok, err = w.try(batch)
		}
		switch {
		case err == nil || len(batch) == 1 || isForAll(err):
			ok = len(batch)
		case ok > 0: // those before the one that failed are tried again, together
			w.commit(batch[:ok])
			batch = batch[ok:]
			continue
		default:
			ok = 1
		}
		for _, c := range batch[:ok] {
			c.done <- err
		}
		batch = batch[ok:]
	}
}

// isForAll reports whether an error is the file's and not one change's.
func isForAll(err error) bool {
	_, began := errors.AsType[*beginError](err)
	return began || errors.Is(problemOf(err), ErrMoved) || errors.Is(problemOf(err), ErrReadOnly) || errors.Is(problemOf(err), ErrBusy)
}

// beginError is the error of a transaction that did not even begin.
type beginError struct{ error }

func (e *beginError) Unwrap() error { return e.error }

// try stores a batch. If it cannot, it changes nothing and returns how many changes could be applied, those before the
// one that failed; half of them when it was not one's fault alone.
func (w *writer) try(batch []*change) (applied int, err error) {
	if w.moved != nil {
		return 0, w.moved
	}
	t := &tx{conn: w.conn, queue: w.queue, now: w.queue.clock.now(), steps: w.queue.clock.steps()}
	defer func() {
		if err == nil {
			w.commits.Add(1)
			for _, f := range t.then {
				f()
			}
		} else {
			_, _ = w.conn.exec("ROLLBACK") // SQLite may have done so already
			for i := len(t.undo) - 1; i >= 0; i-- {
				t.undo[i]()
			}
		}
		w.report(err)
	}()
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, &beginError{err}
	}
	for i, c := range batch {
		if err := w.apply(t, c); err != nil {
			return i, err
		}
	}
	if err := t.finish(); err != nil {
		return len(batch) / 2, err
	}
	if _, err = t.exec("COMMIT"); err != nil {
		return len(batch) / 2, err
	}
	// Before anything is acknowledged: is it where a restart looks for it?
	w.moved = w.queue.owner.check()
	return 0, w.moved
}

// apply applies one change, or notes in it why it is refused.
func (w *writer) apply(t *tx, c *change) error {
	c.refused = nil
	if c.adds > 0 {
		spare, err := w.queue.volume.spare(t, c.adds)
		if err != nil {
			return err
		}
		if spare < 0 || w.noRoom {
			t.then = append(t.then, func() { w.reportRoom(spare) })
		}
		if spare < 0 {
			c.refused = errNoRoom
			return nil
		}
	}
	err := c.apply(t)
	if no, ok := errors.AsType[*refusal](err); ok {
		c.refused, err = no, nil
	}
	return err
}

// reportRoom logs when new events begin to be refused, and when there is room for more than a few again: small ones may
// fit where large ones do not.
func (w *writer) reportRoom(spare int64) {
	switch {
	case spare < 0 && !w.noRoom:
		w.noRoom = true
		w.log.Error("tocsin: the disk of the queue's file is nearly full; events are refused, outcomes are still stored",
			"error", storeError("write", errNoRoom))
	case spare >= w.queue.volume.reserve()/2 && w.noRoom:
		w.noRoom = false
		w.log.Info("tocsin: the queue's file can be written again")
	}
}

// logPatience is how long emptying the log waits for those who read from it.
const logPatience = 100 * time.Millisecond

// shorten empties the log when it has become too long. Usually SQLite begins it anew by itself; it cannot as long as
// each reader begins before the one before has ended.
func (w *writer) shorten() {
	if w.queue.owner.logSize() <= w.queue.volume.logBytes() || time.Since(w.longReader) < time.Second {
		return
	}
	w.emptyLog()
	if sizeOf(w.queue.path+"-wal") > w.queue.volume.logBytes() {
		w.longReader = time.Now()
	}
}

// emptyLog moves the log into the file and cuts it, unless somebody reads for long. A failure changes nothing.
func (w *writer) emptyLog() {
	_ = w.conn.script(fmt.Sprintf("PRAGMA busy_timeout = %d; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = %d",
		logPatience.Milliseconds(), busyTimeout.Milliseconds()))
}

// report logs when the file begins to fail and when it works again, not each time.
func (w *writer) report(err error) {
	switch {
	case err != nil && !w.failing:
		w.log.Error("tocsin: the queue's file cannot be written; events are refused and outcomes wait",
			"error", storeError("write", err))
	case err == nil && w.failing:
		w.log.Info("tocsin: the queue's file can be written again")
	}
	w.failing = err != nil
}

// close stores what waits and ends the goroutine.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	<-w.ended
	if w.moved == nil {
		w.moved = w.queue.owner.check()
	}
	return errors.Join(w.moved, w.conn.close())
}

// cleanEvery is how often what has outlived its time is looked for, and leftOverEvery while there is more of it than
// one transaction takes on.
const (
	cleanEvery    = time.Minute
	leftOverEvery = time.Second
)

// housekeep removes, in a transaction of its own, what retention says. Its failure is nobody's: it is tried again.
func (w *writer) housekeep() {
	every := cleanEvery
	if w.leftOver {
		every = leftOverEvery
	}
	full := w.queue.dead.Load() > int64(w.queue.deadLimit)
	if !full && time.Since(w.cleaned) < every {
		return
	}
	if !full {
		w.cleaned = time.Now()
	}
	_, _ = w.try([]*change{{apply: w.queue.retain}})
}

// tx is a transaction under way.
type tx struct {
	*conn
	queue   *Queue
	now     int64
	steps   int64           // of the clock
	free    *int64          // bytes of the disk when it was first asked for
	added   int64           // about how many bytes of new events
	records int64           // that were stored
	drops   map[int64]int64 // by event: how many jobs and dead letters refer to it no longer
	gone    map[place]bool  // jobs that were removed
	met     []knownKey      // ids that became known
	undo    []func()        // if it fails, the last first
	then    []func()        // once it is on the disk
}

// place is where a job is.
type place struct {
	lane *lane
	seq  int64
}

// drop says that one job or dead letter less refers to an event.
func (t *tx) drop(seq int64) {
	if t.drops == nil {
		t.drops = map[int64]int64{}
	}
	t.drops[seq]++
}

// finish writes what the changes have in common.
func (t *tx) finish() error {
	for seq, n := range t.drops {
		gone, err := t.exec("DELETE FROM event WHERE seq = ? AND refs <= ?", seq, n)
		if err == nil && gone == 0 {
			_, err = t.exec("UPDATE event SET refs = refs - ? WHERE seq = ?", n, seq)
		}
		if err != nil {
			return err
		}
	}
	if t.records > 0 {
		if _, err := t.removeEnded(endedPerRecord * t.records); err != nil {
			return err
		}
	}
	return t.queue.known.store(t)
}

// isClosed tells the error of a queue that was closed.
func isClosed(err error) bool { return errors.Is(err, ErrClosed) }
