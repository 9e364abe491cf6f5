package sqlitequeue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// lane is one route's share of a Queue. The file has all its jobs; a window of those that could start is in memory, in
// a lane of the same name of a memoryqueue.Queue, which does all that has to do with running them: limits, Admit,
// panics, Drain, Stop. What has a later time stays in the file until then.
//
// A job that is in memory and waits is in held and turns; one that runs is in held; being in memory is its lease. For
// each job that waits there is a ticket in the queue in memory. When one is called, the job whose turn it is starts.
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
	turns  turns
	cursor int64 // jobs up to this seq that could start at once are in memory
	more   bool  // there are such beyond cursor
	// overdue says that jobs with a time are due that are not in memory, next is when the next one of those is; 0 = none.
	overdue bool
	next    int64
	asked   int64          // when load will be called for the lane; 0 = it will not
	pushed  int64          // number of the latest ticket
	tickets map[int64]bool // that were not called yet
	changed chan struct{}

	// What a load that reads the file meanwhile cannot know:
	seen               map[int64]bool // jobs that are or were in memory since it began; nil = there is no load
	leftNow, leftLater int64          // counts jobs that were left in the file, by whether they could start
	taken              int64          // counts jobs taken out of memory or file
	taking             int            // such that are not on the disk yet
	unreadable         bool           // the last load failed
	urgentLeft         bool           // there may be urgent jobs in the file that are not in memory
}

var _ queue.Lane = (*lane)(nil)

// start opens the lane.
func (l *lane) start(o queue.LaneOptions, h queue.Handler) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		return queue.ErrLaneOpen
	}
	inner, err := l.queue.memory.Open(l.name, o, func(ctx context.Context, j queue.Job) queue.Disposition {
		return l.run(ctx, j.Generation, h)
	})
	if err != nil {
		return err
	}
	if l.inner == nil {
		l.more, l.urgentLeft = l.total > 0, l.total > 0
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
		now := l.queue.clock.now()
		due := l.more || l.overdue || l.next != 0 && (l.next <= now || !until.IsZero() && l.next < until.UnixNano())
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
	l.held[r.seq] = r
	l.turns.pushBack(r)
	l.pushed++
	r.ticket = l.pushed
	l.tickets[r.ticket] = true
	j := queue.Job{Route: l.name, Generation: r.ticket}
	_ = l.queue.memory.Schedule(context.Background(), ticketName(r.ticket), j) // under a name, so that it can be taken out
}

// ticketName is the name of a ticket in the queue in memory.
func ticketName(ticket int64) string { return strconv.FormatInt(ticket, 10) }

// take makes the job whose turn it is a running one, with a ticket that the queue in memory has called; nil = there is
// none any more.
func (l *lane) take(ticket int64) *row {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tickets, ticket)
	r := l.turns.pop()
	if r != nil {
		r.started, r.ticket = true, ticket
		l.refill()
	}
	return r
}

// keep makes a running job one that waits in memory, where it is to start again: before the others, or after them.
func (l *lane) keep(r *row, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tickets[r.ticket] = true
	if first {
		l.turns.pushFront(r)
	} else {
		l.turns.pushBack(r)
	}
}

// rest leaves a job that ran in the file until its time.
func (l *lane) rest(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, r.seq)
	l.wait(r)
}

// wait notes that a job in the file has a later time.
func (l *lane) wait(r *row) {
	l.leftLater++
	l.urgentLeft = l.urgentLeft || r.urgent
	if l.next == 0 || r.due < l.next {
		l.next = r.due
	}
	l.ask(l.next)
}

// added is called by the writer for a new job, which may be gone again.
func (l *lane) added(r *row, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	switch {
	case gone || l.inner == nil || r.due == heldBack || l.held[r.seq] != nil:
	case r.due > 0:
		l.wait(r)
	case r.urgent && r.orderKey == "": // however full the window is, and wherever the cursor
		l.enter(r)
	case l.more || l.turns.len() >= l.queue.window():
		l.more = true
		l.leftNow++
		l.refill()
	default:
		l.cursor = r.seq
		l.enter(r)
	}
}

// released is called by the writer for a job that nothing holds back any longer. It comes into memory however full that
// is: another has just left, and those before the cursor would not be found by a load.
func (l *lane) released(r *row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inner == nil:
	case r.due > 0:
		l.wait(r)
	default:
		l.enter(r)
	}
}

// removed is called by the writer when a job is gone.
func (l *lane) removed(seq int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	delete(l.held, seq)
	l.signal()
}

// takeOut takes a job out of memory, so that it does not start, unless it runs or, if it is to be fresh, has run. It
// reports whether it did; the row is nil if it was not there. No load counts until tookOut is called.
func (l *lane) takeOut(seq int64, fresh bool) (*row, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.held[seq]
	if r != nil && (r.turn == nil || fresh && r.started) {
		return nil, false
	}
	l.taking++
	if r == nil {
		return nil, true
	}
	delete(l.held, seq)
	l.turns.remove(r)
	ticket := r.ticket
	for other := range l.tickets {
		if l.tickets[ticket] {
			break
		}
		ticket = other // another job started with its ticket
	}
	delete(l.tickets, ticket)
	_, _ = l.queue.memory.Cancel(context.Background(), l.name, ticketName(ticket)) // if it is just being called, take finds nothing
	return r, true
}

// lookAgain has the lane's times read again.
func (l *lane) lookAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != nil {
		l.ask(1)
	}
}

// runs returns the seqs of the jobs that run.
func (l *lane) runs() map[int64]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	running := map[int64]bool{}
	for seq, r := range l.held {
		if r.turn == nil {
			running[seq] = true
		}
	}
	return running
}

// count returns how many jobs there are, and how many of them run.
func (l *lane) count() (total, running int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total, len(l.held) - l.turns.len()
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
