// Package lanes is the scheduler of the queues in a process: which job of which lane runs next. It knows limits, order
// keys, urgency, due times and Admit, and nothing of disks or networks. A queue in memory is this scheduler alone; a
// durable one is this scheduler over a window of the jobs that it stores.
package lanes

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Scheduler runs the jobs of any number of lanes. A lane is there from its first use until it is closed and nothing
// waits in it. There is a goroutine for each handler that runs, none for a lane. All methods are safe for concurrent
// use.
type Scheduler struct {
	clock *clock
	seed  maphash.Seed
	hooks Hooks

	mu     sync.RWMutex // taken before a lane's
	lanes  Map[string, *Lane]
	groups Groups

	watching sync.Mutex   // taken after a lane's
	open     atomic.Int32 // lanes; changed with watching
	watch    *time.Timer
	stepped  int64 // of the clock, as far as lanes know
}

// New makes a scheduler without lanes. read is System's, or what a test says.
func New(read func() Reading, hooks Hooks) *Scheduler {
	return &Scheduler{clock: newClock(read), seed: maphash.MakeSeed(), hooks: hooks}
}

// Dropped is a job that was dropped for lack of room, and its lane's bound: its Dropped is to be notified once no lock
// is held.
type Dropped struct {
	Job   queue.Job
	Bound queue.Bound
}

// NoRoom is the error that names the lanes and groups without room, each once, or nil if there are none.
func NoRoom(full queue.BacklogError) error {
	if len(full.Lanes) == 0 {
		return nil
	}
	slices.Sort(full.Lanes)
	slices.Sort(full.Groups)
	return &queue.BacklogError{Lanes: slices.Compact(full.Lanes), Groups: slices.Compact(full.Groups)}
}

// Lane returns the lane of that name, made on first use.
func (s *Scheduler) Lane(name string) *Lane {
	if l := s.Find(name); l != nil {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes.Get(name)
	if l == nil {
		l = newLane(s, name)
		s.lanes.Set(name, l)
	}
	return l
}

// lock returns the lane of that name, made on first use, locked.
func (s *Scheduler) lock(name string) *Lane {
	for {
		l := s.Lane(name)
		l.mu.Lock()
		if !l.removed.Load() {
			return l
		}
		l.mu.Unlock()
	}
}

// Find returns the lane of that name, or nil.
func (s *Scheduler) Find(name string) *Lane {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.lanes.Get(name)
}

// Hash tells lanes apart by name, for as long as the scheduler lives.
func (s *Scheduler) Hash(name string) uint64 { return maphash.String(s.seed, name) }

// release forgets a lane that is nothing but a name; one with jobs in a store is its keeper's to forget.
func (s *Scheduler) release(l *Lane) {
	if s.hooks.Closed != nil {
		s.hooks.Closed(l)
		return
	}
	s.Forget(l)
}

// Forget forgets a lane, which is then made anew on its next use, unless it is open or holds something. It reports
// whether the lane is forgotten.
func (s *Scheduler) Forget(l *Lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isIdle() && !l.removed.Load() {
		l.removed.Store(true)
		l.group = s.groups.Move(l.group, queue.Bound{}, 0)
		s.lanes.Remove(l.name)
	}
	return l.removed.Load()
}

// Open is queue.Queue's.
func (s *Scheduler) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	l := s.lock(name)
	defer l.mu.Unlock()
	if err := l.open(o, h); err != nil {
		return nil, err
	}
	return l, nil
}

// Bound is queue.Queue's.
func (s *Scheduler) Bound(name string, b queue.Bound) {
	l := s.lock(name)
	l.setBound(b)
	l.mu.Unlock()
	s.release(l)
}

// Add puts j into its lane. It reports whether there was room, and names what had none in full; a job that was dropped
// for it is added to dropped.
func (l *Lane) Add(j *queue.Job, dropped *[]Dropped, full *queue.BacklogError) bool {
	l.mu.Lock()
	if l.removed.Load() {
		l.mu.Unlock()
		l = l.s.lock(l.name)
	}
	defer l.mu.Unlock()
	if !l.makeRoom(dropped, full) {
		return false
	}
	l.addJob(j)
	l.startWorker()
	l.notify()
	return true
}

// Requeue puts jobs into their lanes, whatever the bound.
func (s *Scheduler) Requeue(jobs ...queue.Job) {
	for i := range jobs {
		l := s.lock(jobs[i].Lane)
		l.countWaiting(1)
		l.addJob(&jobs[i])
		l.startWorker()
		l.notify()
		l.mu.Unlock()
	}
}

// Schedule puts j into its lane under a key, in place of one that has not started. It returns a *queue.BacklogError if
// there is no room.
func (s *Scheduler) Schedule(key string, j *queue.Job) error {
	l := s.lock(j.Lane)
	defer l.mu.Unlock()
	full := new(queue.BacklogError)
	if old := l.scheduled.Get(key); old != nil {
		l.takeOut(old)
		l.releaseOrderKey(old)
		l.countWaiting(1)
	} else if !l.makeRoom(nil, full) {
		return full
	}
	l.put(s.NewEntry(j, &Ref{key: key}))
	return nil
}

// with calls f with the lane of that name, locked, if there is one.
func (s *Scheduler) with(name string, f func(l *Lane)) {
	if l := s.Find(name); l != nil {
		defer s.release(l)
		l.mu.Lock()
		defer l.mu.Unlock()
		f(l)
	}
}

// Cancel removes the job with that key and reports whether there was one that had not started.
func (s *Scheduler) Cancel(name, key string) (found bool) {
	s.with(name, func(l *Lane) {
		if e := l.scheduled.Get(key); e != nil {
			l.remove(e)
			found = true
		}
	})
	return found
}

// Purge removes what waits in a lane and reports how many jobs there were.
func (s *Scheduler) Purge(name string) (n int) {
	s.with(name, func(l *Lane) { n = l.purge() })
	return n
}

// Count is what waits and runs in a lane.
func (s *Scheduler) Count(name string) (c queue.Counts) {
	s.with(name, func(l *Lane) { c = l.count() })
	return c
}

// Lanes lists the lanes that are open or hold something, in no order.
func (s *Scheduler) Lanes() []string {
	var names []string
	for _, l := range s.All() {
		l.mu.Lock()
		if l.handler != nil || l.waiting > 0 || l.running > 0 {
			names = append(names, l.name)
		}
		l.mu.Unlock()
	}
	return names
}

// All are the lanes that there are, in no order.
func (s *Scheduler) All() []*Lane {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Lane, 0, len(s.lanes.all))
	for _, l := range s.lanes.all {
		all = append(all, l)
	}
	return slices.Clip(all)
}

// OpenLanes is how many lanes are open.
func (s *Scheduler) OpenLanes() int { return int(s.open.Load()) }

// opened counts the open lanes. While there are any, the clock is looked at.
func (s *Scheduler) opened(n int) {
	s.watching.Lock()
	defer s.watching.Unlock()
	open := s.open.Add(int32(n))
	switch {
	case open == 0:
		s.watch.Stop()
	case s.watch == nil:
		s.watch = time.AfterFunc(watchEvery, s.checkClock)
	case n > 0 && open == 1:
		s.watch.Reset(watchEvery)
	}
}

// checkClock wakes all lanes when the clock was set or the machine has slept: their timers know nothing of it.
func (s *Scheduler) checkClock() {
	s.clock.now()
	s.watching.Lock()
	before := s.stepped
	s.stepped = s.clock.steps.Load()
	stepped := s.stepped != before
	if s.open.Load() > 0 {
		s.watch.Reset(watchEvery)
	}
	s.watching.Unlock()
	if !stepped {
		return
	}
	if s.hooks.Stepped != nil {
		s.hooks.Stepped()
	}
	for _, l := range s.All() {
		l.wake()
	}
}
