package lanes

import (
	"context"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Hooks connect a scheduler with whoever keeps its jobs. A queue in memory needs Dead at most. With Refill the lanes
// hold a window of jobs that a store has: they know that the store has more, and ask for it.
type Hooks struct {
	// New is called, with the scheduler locked, for each lane that is made. What it returns is the lane's Data.
	New func(l *Lane) any
	// Closed is called, without a lock, once a lane is closed and none of its handlers runs. The keeper has it Unload,
	// and forgotten once the store holds nothing of it. nil = a lane that holds nothing is forgotten.
	Closed func(l *Lane)
	// Bound is called, with the lane locked, when a bound is set. It is the keeper's to see that it holds. nil = it is
	// the lane's.
	Bound func(l *Lane, b queue.Bound)
	// Dead is called by the worker with each job whose outcome is Dead and its lane's bound, before it is gone from its
	// lane, and Settle
	// with each outcome before it is applied. They are called without a lock and may take their time; the place in the
	// lane stays taken. Settle returns the outcome to apply, and whether the entry leaves the lane although that
	// outcome is to run again. nil = apply it.
	Dead   func(j queue.Job, out queue.Disposition, b queue.Bound)
	Settle func(ctx context.Context, l *Lane, e *Entry, j queue.Job, out queue.Disposition) (apply queue.Disposition, leaves bool)
	// Start is called by the worker before a handler, which gets what it returns. nil = as it is.
	Start func(ctx context.Context, l *Lane, e *Entry, j queue.Job) (context.Context, queue.Job)
	// Refill is called, with the lane locked, once a lane has few jobs left and the store more, or when the time of one
	// in the store comes. It must not wait; it is answered by Loaded.
	Refill func(l *Lane)
	// Stepped is called soon after the wall clock was set, while lanes are open. nil = none.
	Stepped func()
	// Window is how many jobs may wait in a lane. Entries that wait for something else than their turn count as well:
	// what holds them for long has to enlarge the window, or they keep all others out.
	Window func() int
}

// Ref is what the keeper of an entry's job knows of it.
type Ref struct {
	Num         int64  // of the job in the store; grows with the order enqueued
	Due         int64  // the store's form of when it may start
	ScheduleKey string // "" = none, or used up by an attempt
	OrderKey    string
	Unreadable  string // why the store's bytes are no event; the job is dead then
	Steps       int64  // of the wall clock when the job was read
	Unloads     int64  // of the lane until then

	key     string // the schedule key, by which the lane itself finds the job when there is no store
	started bool   // since it came into the lane; guarded by the lane
}

// NotTried says that it was as if the job had not started.
func (r *Ref) NotTried() { r.started = false }

// stored is what a lane knows of its jobs that are only in the store.
type stored struct {
	more  bool  // there may be some that could start
	first bool  // there may be urgent ones among them
	next  int64 // when the next of the others is due: what the wall clock shows then; unset = there is none
	asked bool  // Refill was called and not answered
}

// Ref is what NewEntry was given.
func (e *Entry) Ref() *Ref { return e.ref }

// NewEntry makes the entry of a job in a store.
func (s *Scheduler) NewEntry(j *queue.Job, ref *Ref) *Entry {
	e := new(Entry)
	s.clock.fill(e, j)
	e.ref = ref
	return e
}

// Name is the lane's.
func (l *Lane) Name() string { return l.name }

// Data is what Hooks.New returned for the lane.
func (l *Lane) Data() any { return l.data }

// Unload takes all that waits out of a lane that is closed and of which nothing runs, and reports whether it is. The
// store has it all, and it is loaded when the lane is opened.
func (l *Lane) Unload() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isClosed() {
		return false
	}
	l.purge()
	l.stored = stored{next: unset}
	return true
}

// Put adds an entry, whatever the bound and the window.
func (l *Lane) Put(e *Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countWaiting(1)
	l.put(e)
}

// put adds an entry that is counted.
func (l *Lane) put(e *Entry) {
	l.add(e)
	l.startWorker()
	l.notify()
}

// Offer adds a new entry that is the last of its store's, unless others in the store have to go first or the window is
// full. Urgent ones have a window of their own.
func (l *Lane) Offer(e *Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	room, urgentRoom := l.room()
	left := &l.stored.more
	if e.urgent {
		left, room = &l.stored.first, urgentRoom
	}
	if *left || room == 0 {
		*left = true
		l.refill()
		return false
	}
	l.countWaiting(1)
	l.put(e)
	return true
}

// leastUrgent is the least window of urgent jobs: they are few, and do not wait for a load.
const leastUrgent = 16

// BeginLoad begins to answer a Refill: it says how many more jobs the window takes, and how many more urgent ones,
// which it takes however full it is. A lane that was closed meanwhile takes none, and has its answer.
func (l *Lane) BeginLoad() (room, urgent int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handler == nil {
		l.stored.asked = false
		return 0, 0, false
	}
	room, urgent = l.room()
	return room, urgent, true
}

func (l *Lane) room() (room, urgent int) {
	window := l.s.hooks.Window()
	return max(window-l.waiting, 0), max(max(window, leastUrgent)-l.ready[urgentFirst].n, 0)
}

// StoredUntil notes that the store has a job that is due when the wall clock shows that many Unix nanoseconds.
func (l *Lane) StoredUntil(wall int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stored.next == unset || wall < l.stored.next {
		l.stored.next = wall
		l.setTimer()
	}
}

// Reload has the lane ask for what the store has.
func (l *Lane) Reload() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reload()
}

func (l *Lane) reload() {
	l.stored.more = true
	if !l.stored.asked {
		l.stored.asked = true
		l.s.hooks.Refill(l)
	}
}

// refill asks for more when few are left: of all jobs, or of the urgent ones.
func (l *Lane) refill() {
	if l.stored.asked || !l.stored.more && !l.stored.first {
		return
	}
	few := l.s.hooks.Window() / 4
	if l.stored.more && l.waiting <= few || l.stored.first && l.ready[urgentFirst].n <= few {
		l.reload()
	}
}

// Loaded answers a Refill: the lane now has what fits. It says whether the store has more that could start, urgent ones
// or others, and when the next with a later time is due; 0 = there is none.
func (l *Lane) Loaded(more, urgent bool, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored.asked, l.stored.more, l.stored.first, l.stored.next = false, more, urgent, unset
	if next != 0 {
		l.stored.next = next
	}
	l.setTimer()
	l.refill()
	l.notify()
}

// NotLoaded answers a Refill that has failed: the next Reload asks again.
func (l *Lane) NotLoaded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored.asked = false
}

// Take removes an entry before it starts and reports whether it could. One that has started before, and is to again, is
// taken only if that does not matter.
func (l *Lane) Take(e *Entry, evenStarted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.place == nowhere || e.ref.started && !evenStarted {
		return false
	}
	l.remove(e)
	return true
}

// Waits reports whether an entry is in the lane and has not started.
func (l *Lane) Waits(e *Entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return e.place != nowhere && !e.ref.started
}

// ForgetBound takes the bound of a lane away that is closed, unless it was set since.
func (l *Lane) ForgetBound() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() && !l.bounded {
		l.setBound(queue.Bound{})
	}
}

// State is what a lane holds at the moment.
type State struct {
	Open            bool
	Waiting, Urgent int  // jobs that have not started, and urgent ones among them that may
	More            bool // the store may have others that could start
}

// State is what the lane holds.
func (l *Lane) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{l.handler != nil, l.waiting, l.ready[urgentFirst].n, l.stored.more || l.stored.first}
}

// storedDue reports whether the store has a job that is due by then.
func (l *Lane) storedDue(at int64) bool {
	return l.stored.more || l.stored.first || l.stored.next != unset && l.s.clock.at(l.stored.next) <= at
}

// Now is what the wall clock shows, and the sum of the steps that it made since the scheduler was made.
func (s *Scheduler) Now() (wall, steps int64) {
	r := s.clock.observe()
	return r.Wall, s.clock.forward.Load() - s.clock.back.Load()
}
