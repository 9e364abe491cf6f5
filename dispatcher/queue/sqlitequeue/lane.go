package sqlitequeue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// lane is one route's share of a Queue. The file has all its jobs; a window of those that could start is in memory, in a
// lane of the same name of a memoryqueue.Queue, which does all that has to do with running them: limits, Admit, panics, Drain,
// Stop. Of a job, that queue knows its number only. What has a later time stays in the file until then.
//
// A job that is in memory and waits is in held and turns; one that runs is in held; being in memory is its lease.
type lane struct {
	queue  *Queue
	name   string
	num    int64
	stored bool // table lane has the name; the writer's

	mu     sync.Mutex
	inner  queue.Lane // nil = never opened: then nothing is in memory
	open   bool
	limit  int
	total  int            // jobs in the file
	held   map[int64]*row // by seq
	turns  map[int64]*row // by push
	cursor int64          // jobs up to this seq that could start at once are in memory
	more   bool           // there are such beyond cursor
	// overdue says that jobs with a time are due that are not in memory, next is when the next one of those is; 0 = none.
	overdue bool
	next    int64
	asked   int64 // when load will be called for the lane; 0 = it will not
	pushed  int64 // number of the latest job that came into memory
	changed chan struct{}

	// What a load that reads the file meanwhile cannot know:
	seen               map[int64]bool // jobs that are or were in memory since it began; nil = there is no load
	leftNow, leftLater int64          // counts jobs that were left in the file, by whether they could start
	taken              int64          // counts jobs taken out of memory or file
	taking             int            // such that are not on the disk yet
	unreadable         bool           // the last load failed
}

var _ queue.Lane = (*lane)(nil)

// start opens the lane.
func (l *lane) start(o queue.LaneOptions, h queue.Handler) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		return queue.ErrLaneOpen
	}
	inner, err := l.queue.memory.Open(l.name, o, func(ctx context.Context, j queue.Job) queue.Outcome {
		return l.run(ctx, j.Generation, h)
	})
	if err != nil {
		return err
	}
	if l.inner == nil {
		l.more = l.total > 0
		l.queue.opened.Add(1)
	}
	l.inner, l.open, l.limit = inner, true, o.Limit
	if l.more {
		l.ask(1)
	}
	return nil
}

// Limit implements queue.Lane.
func (l *lane) Limit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.inner.Limit(n)
	l.signal()
}

// Stop implements queue.Lane.
func (l *lane) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.open = false
	inner := l.inner
	l.signal()
	l.mu.Unlock()
	return inner.Stop(ctx)
}

// Drain implements queue.Lane: it waits for what is in memory, and for what is due and not there yet.
func (l *lane) Drain(ctx context.Context, until time.Time) error {
	for {
		l.mu.Lock()
		inner, before := l.inner, l.pushed
		l.mu.Unlock()
		if err := inner.Drain(ctx, until); err != nil {
			return err
		}
		l.mu.Lock()
		due := l.more || l.overdue || l.next != 0 && l.next <= time.Now().UnixNano()
		if !due && l.pushed == before || !l.open || l.limit <= 0 {
			l.mu.Unlock()
			return nil
		}
		if l.pushed != before {
			l.mu.Unlock()
			continue
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal wakes Drain. Called, as all that follows, with the lane locked where nothing else is said.
func (l *lane) signal() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// enter puts a job into memory, where it starts as soon as it can.
func (l *lane) enter(r *row) {
	if l.held[r.seq] != nil {
		return // a load was faster
	}
	if l.seen != nil {
		l.seen[r.seq] = true
	}
	l.pushed++
	r.push = l.pushed
	l.held[r.seq], l.turns[r.push] = r, r
	j := queue.Job{Route: l.name, Generation: r.push}
	_ = l.queue.memory.Schedule(context.Background(), r.ticket(), j) // under a name, so that it can be taken out; there is no bound
}

// ticket is the name of a job in the queue in memory.
func (r *row) ticket() string { return strconv.FormatInt(r.push, 10) }

// take makes the job of that number a running one; nil = it is no longer there.
func (l *lane) take(push int64) *row {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.turns[push]
	if r != nil {
		r.started = true
		delete(l.turns, push)
		l.refill()
	}
	return r
}

// keep makes a running job one that waits in memory, where it is to start again.
func (l *lane) keep(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns[r.push] = r
}

// rest leaves a job that ran in the file until its time.
func (l *lane) rest(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, r.seq)
	l.wait(r.due)
}

// wait notes that a job in the file has a later time.
func (l *lane) wait(due int64) {
	l.leftLater++
	if l.next == 0 || due < l.next {
		l.next = due
	}
	l.ask(l.next)
}

// added is told by the writer of a new job, which may be gone again.
func (l *lane) added(r *row, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	switch {
	case gone || l.inner == nil || r.due == heldBack || l.held[r.seq] != nil:
	case r.due > 0:
		l.wait(r.due)
	case l.more || len(l.turns) >= l.queue.window():
		l.more = true
		l.leftNow++
		l.refill()
	default:
		l.cursor = r.seq
		l.enter(r)
	}
}

// released is told by the writer of a job that nothing holds back any longer. It comes into memory however full that is:
// another has just left, and those before the cursor would not be found by a load.
func (l *lane) released(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inner == nil:
	case r.due > 0:
		l.wait(r.due)
	default:
		l.enter(r)
	}
}

// removed is told by the writer that a job is gone.
func (l *lane) removed(seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	delete(l.held, seq)
	l.signal()
}

// takeOut takes a job out of memory, so that it does not start, unless it runs or, if it is to be fresh, has run. It reports
// whether it did; the row is nil if it was not there. No load counts until tookOut is called.
func (l *lane) takeOut(seq int64, fresh bool) (*row, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.held[seq]
	if r != nil && (l.turns[r.push] == nil || fresh && r.started) {
		return nil, false
	}
	l.taking++
	if r == nil {
		return nil, true
	}
	delete(l.held, seq)
	delete(l.turns, r.push)
	_, _ = l.queue.memory.Cancel(context.Background(), l.name, r.ticket()) // if it is just about to start, take finds nothing
	return r, true
}

// runs returns the seqs of the jobs that run.
func (l *lane) runs() map[int64]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	running := map[int64]bool{}
	for seq, r := range l.held {
		if l.turns[r.push] == nil {
			running[seq] = true
		}
	}
	return running
}

// count returns how many jobs there are, and how many of them run.
func (l *lane) count() (total, running int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total, len(l.held) - len(l.turns)
}

func (l *lane) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

func (l *lane) inUse() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open || l.total > 0
}

// tookOut ends a takeOut, and puts back what is not gone after all.
func (l *lane) tookOut(back ...*row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taking--
	l.taken++
	for _, r := range back {
		l.enter(r)
	}
	if l.inner != nil {
		l.ask(1)
	}
	l.signal()
}
