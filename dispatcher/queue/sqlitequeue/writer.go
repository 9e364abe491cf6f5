package sqlitequeue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// mostChanges is how many calls one commit takes in: few enough that none waits long for the others.
const mostChanges = 512

// writer is the one goroutine that changes the file. It takes all the changes that wait, applies them in one transaction,
// and answers them all once that is on the disk: the disk's slowest operation is shared by all who wait for it.
type writer struct {
	conn  *conn
	queue *Queue
	log   *slog.Logger
	wake  chan struct{} // has room for one
	ended chan struct{}

	commits atomic.Int64 // transactions that are on the disk
	failing bool         // the last one was not
	tidied  time.Time    // when housekeeping was last done

	mu      sync.Mutex
	waiting []*change
	closed  bool
}

// change is one call's part of a transaction. A failed transaction calls apply again, so it must not count on what it did
// before; what it does to memory goes through tx.undo and tx.then.
type change struct {
	apply   func(*tx) error
	refused error // what a *refusal of apply holds
	done    chan error
}

// refusal is the error of an apply that has changed nothing: it fails its own call and not the transaction.
type refusal struct{ error }

// write returns once f's change is on the disk, with a *StoreError if it is not, or when ctx is done: then it may still
// get there, and f may still run.
func (w *writer) write(ctx context.Context, op string, f func(*tx) error) error {
	c := &change{apply: f, done: make(chan error, 1)}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.waiting = append(w.waiting, c)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-c.done:
		if c.refused != nil {
			return c.refused
		}
		return storeError(op, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run commits until the writer is closed and nothing waits.
func (w *writer) run() {
	defer close(w.ended)
	for range w.wake {
		for {
			batch, closed := w.take()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			w.commit(batch)
			w.housekeep()
		}
	}
}

func (w *writer) take() (batch []*change, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.waiting), mostChanges)
	batch, w.waiting = w.waiting[:n:n], w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
	return batch, w.closed
}

// commit stores a batch. When that fails each is tried alone, so that nobody fails for another's sake.
func (w *writer) commit(batch []*change) {
	err := w.try(batch)
	if err != nil && len(batch) > 1 {
		for _, c := range batch {
			w.commit([]*change{c})
		}
		return
	}
	for _, c := range batch {
		c.done <- err
	}
}

func (w *writer) try(batch []*change) (err error) {
	t := &tx{conn: w.conn, queue: w.queue, now: time.Now().UnixNano()}
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
		return err
	}
	for _, c := range batch {
		err := c.apply(t)
		if no, ok := errors.AsType[*refusal](err); ok {
			c.refused, err = no.error, nil
		}
		if err != nil {
			return err
		}
	}
	if err := t.finish(); err != nil {
		return err
	}
	_, err = t.exec("COMMIT")
	return err
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
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.ended
	return w.conn.close()
}

// tidyEvery is how often what has outlived its time is looked for.
const tidyEvery = time.Minute

// housekeep removes, in a transaction of its own, what retention says. Its failure is nobody's: it is tried again.
func (w *writer) housekeep() {
	full := w.queue.dead.Load() > int64(w.queue.deadLimit)
	if !full && time.Since(w.tidied) < tidyEvery {
		return
	}
	if !full {
		w.tidied = time.Now()
	}
	_ = w.try([]*change{{apply: w.queue.retain}})
}

// tx is a transaction under way.
type tx struct {
	*conn
	queue *Queue
	now   int64
	drops map[int64]int64 // by event: how many jobs and dead letters refer to it no longer
	gone  map[place]bool  // jobs that were removed
	met   []knownKey      // ids that became known
	undo  []func()        // if it fails, the last first
	then  []func()        // once it is on the disk
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
	return t.queue.known.store(t)
}

// isClosed tells the error of a queue that was closed.
func isClosed(err error) bool { return errors.Is(err, ErrClosed) }
