//go:build unix

package queuetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// defect is one way in which a queue can be wrong.
type defect string

// naive is the plainest correct queue, which the suite must accept, and with a defect a wrong one, which it must
// reject. With a journal it is durable.
type naive struct {
	defect  defect
	journal *journal // nil = in memory

	mu     sync.Mutex
	closed bool // a timer may fire later
	seq    int64
	jobs   []*naiveJob // by seq
	lanes  map[string]*naiveLane
	ids    map[string]bool        // job ids that were stored
	facts  map[string]event.Event // by id
	dead   []queue.DeadLetter
	ends   map[int64]time.Time // of dead letters with an age, by Seq

	deadBefore map[int64]bool // they were there when the journal was opened, by Seq
}

type naiveJob struct {
	queue.Job
	seq     int64
	key     string // of Schedule
	running bool   // here
	before  bool   // it was there when the journal was opened
	claimed int    // process that runs it, of those that share the journal
}

func newNaive(d defect) *naive {
	return &naive{
		defect: d, lanes: map[string]*naiveLane{}, ids: map[string]bool{}, facts: map[string]event.Event{},
		ends: map[int64]time.Time{}, deadBefore: map[int64]bool{},
	}
}

func (n *naive) is(d ...defect) bool { return slices.Contains(d, n.defect) }

// locked runs f with the queue locked and, with a journal, up to date; not once the journal is closed.
func (n *naive) locked(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	if n.journal != nil {
		n.journal.lock(n)
		defer n.journal.unlock()
	}
	n.removeAged()
	f()
}

func (n *naive) removeAged() {
	for seq, ends := range n.ends {
		if ends.After(time.Now()) || n.is("dead letters do not age") {
			continue
		}
		delete(n.ends, seq)
		n.removeDead(func(l queue.DeadLetter) bool { return l.Seq == seq })
	}
}

// removeDead removes dead letters for good.
func (n *naive) removeDead(which func(queue.DeadLetter) bool) {
	n.dead = slices.DeleteFunc(n.dead, func(l queue.DeadLetter) bool {
		if which(l) && n.journal != nil {
			n.journal.raise(l)
		}
		return which(l)
	})
}

func (n *naive) Properties() queue.Properties {
	return queue.Properties{
		Durable: n.journal != nil || n.is("promises to be durable"), Precision: 10 * time.Millisecond,
		IDWindow: "forever", KeyedOrder: true, Urgency: true, Bounded: true, DeadBounded: true, Scheduling: true,
		Inspection: !n.is("inspects although it says it cannot"),
	}
}

var _ queue.Queue = (*naive)(nil)

func (n *naive) Enqueue(ctx context.Context, jobs ...queue.Job) (err error) {
	if ctx.Err() != nil && !n.is("ignores ctx") {
		return ctx.Err()
	}
	var drops []func()
	n.locked(func() {
		if err = n.conflict(jobs); err != nil {
			if n.is("stores what is in conflict") {
				_ = n.add(jobs, &drops)
			}
			return
		}
		err = n.add(jobs, &drops)
	})
	for _, notify := range drops {
		notify()
	}
	return err
}

func (n *naive) conflict(jobs []queue.Job) error {
	if n.is("takes other data") {
		return nil
	}
	met := map[string]event.Event{}
	for _, j := range jobs {
		for _, known := range []map[string]event.Event{n.facts, met} {
			if e, ok := known[j.Event.ID()]; ok && !e.SameAs(j.Event) && !n.is("blind within a call") {
				return &queue.ConflictError{EventID: j.Event.ID()}
			}
		}
		met[j.Event.ID()] = j.Event
	}
	return nil
}

func (n *naive) add(jobs []queue.Job, drops *[]func()) error {
	var full queue.BacklogError
	for _, j := range jobs {
		l := n.lane(j.Lane)
		if n.ids[j.ID()] && !n.is("forgets ids") {
			continue
		}
		if n.is("looks and stores apart") {
			n.mu.Unlock()
			<-time.After(time.Microsecond)
			n.mu.Lock()
		}
		if n.is("drops jobs of closed lanes") && !l.open {
			continue
		}
		if !n.room(l, drops, &full) {
			if !slices.Contains(full.Lanes, l.name) {
				full.Lanes = append(full.Lanes, l.name)
			}
			if n.is("all or nothing") {
				break
			}
			continue
		}
		n.ids[j.ID()], n.facts[j.Event.ID()] = true, j.Event
		n.put(&naiveJob{Job: n.garble(j)})
		l.pump()
	}
	if full.Lanes != nil {
		return &full
	}
	return nil
}

func (n *naive) put(j *naiveJob) {
	n.seq++
	j.seq = n.seq
	n.jobs = append(n.jobs, j)
	if n.is("the last comes first") {
		slices.Reverse(n.jobs)
		slices.SortStableFunc(n.jobs, func(a, b *naiveJob) int { return int(b.seq - a.seq) })
	}
	n.write(j)
}

// write records a job as it is now.
func (n *naive) write(j *naiveJob) {
	if n.journal != nil {
		n.journal.put(j)
	}
}

func (n *naive) remove(j *naiveJob) {
	n.jobs = slices.DeleteFunc(n.jobs, func(k *naiveJob) bool { return k == j })
	if n.journal != nil {
		n.journal.remove(j)
	}
	n.lane(j.Lane).broadcast()
}

func (n *naive) waiting(lane string) (waiting []*naiveJob) {
	for _, j := range n.jobs {
		if j.Lane == lane && !j.running {
			waiting = append(waiting, j)
		}
	}
	return waiting
}

// groupWaiting are the jobs that wait in a lane's group.
func (n *naive) groupWaiting(l *naiveLane) (waiting []*naiveJob) {
	for name, other := range n.lanes {
		if other.bound.Group == l.bound.Group && other.bound.GroupJobs > 0 || n.is("one group for all") {
			waiting = append(waiting, n.waiting(name)...)
		}
	}
	return waiting
}

// window is how many jobs of a lane a defect looks at, as if the others were in a store.
const window = 100

// room makes room for a job, or names the group without room in full.
func (n *naive) room(l *naiveLane, drops *[]func(), full *queue.BacklogError) bool {
	waiting := n.waiting(l.name)
	if n.is("counts from the restart on") {
		waiting = slices.DeleteFunc(waiting, func(j *naiveJob) bool { return j.before })
	}
	if n.is("counts its window only") {
		waiting = waiting[:min(window, len(waiting))]
	}
	most := l.bound.Jobs
	if most <= 0 {
		most = queue.DefaultBacklog
	}
	fits := len(waiting) < most || n.is("has no bound")
	group := l.bound.GroupJobs <= 0 || n.is("knows no groups") || len(n.groupWaiting(l)) < l.bound.GroupJobs
	if fits && group {
		return true
	}
	if !l.bound.DropOldest {
		if fits && !slices.Contains(full.Groups, l.bound.Group) {
			full.Groups = append(full.Groups, l.bound.Group)
		}
		return false
	}
	if !group && n.is("drops of the whole group") {
		waiting = n.groupWaiting(l)
		slices.SortFunc(waiting, func(a, b *naiveJob) int { return int(a.seq - b.seq) })
	}
	if n.is("drops from its window only") {
		waiting = waiting[:min(window, len(waiting))]
	}
	if n.is("drops the youngest") {
		slices.Reverse(waiting)
	}
	for _, j := range waiting {
		if l.bound.Keep != nil && l.bound.Keep(j.Event) && !n.is("keeps nothing") {
			continue
		}
		if !n.is("drops without a dead letter") {
			n.markDead(j, "no room")
		}
		n.remove(j)
		if notify := l.bound.Dropped; notify != nil && !n.is("notifies nobody") {
			*drops = append(*drops, func() { notify(j.Job) })
		}
		return true
	}
	if !group {
		full.Groups = append(full.Groups, l.bound.Group)
	}
	return false
}

func (n *naive) markDead(j *naiveJob, reason string) {
	n.seq++
	if n.is("dead without a reason") {
		reason = ""
	}
	letter := queue.DeadLetter{Job: j.Job, Seq: n.seq, At: time.Now(), Reason: reason}
	n.dead = append(n.dead, letter)
	if n.is("lists the latest first") {
		slices.SortFunc(n.dead, func(a, b queue.DeadLetter) int { return int(b.Seq - a.Seq) })
	}
	bound := n.lane(j.Lane).bound
	if bound.DeadLetterAge > 0 {
		n.ends[n.seq] = letter.At.Add(bound.DeadLetterAge)
	}
	if n.journal != nil {
		n.journal.markDead(letter, n.ends[n.seq])
	}
	n.limitDead(j.Lane, bound)
}

// limitDead removes the oldest dead letters of a lane that has too many.
func (n *naive) limitDead(lane string, bound queue.Bound) {
	most := bound.DeadLetters
	if most <= 0 {
		most = queue.DefaultDeadLetters
	}
	var all []queue.DeadLetter
	for _, l := range n.dead {
		if (l.Lane == lane || n.is("one limit for all that is dead")) && (!n.deadBefore[l.Seq] || !n.is("counts from the restart on")) {
			all = append(all, l)
		}
	}
	if n.is("keeps all that is dead") || len(all) <= most {
		return
	}
	slices.SortFunc(all, func(a, b queue.DeadLetter) int { return int(a.Seq - b.Seq) })
	first := all[len(all)-most].Seq
	n.removeDead(func(l queue.DeadLetter) bool {
		return l.Seq < first && slices.ContainsFunc(all, func(k queue.DeadLetter) bool { return k.Seq == l.Seq })
	})
}

func (n *naive) Bound(name string, b queue.Bound) {
	n.locked(func() { n.lane(name).bound = b })
}

func (n *naive) Schedule(ctx context.Context, key string, j queue.Job) (err error) {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.locked(func() {
		l := n.lane(j.Lane)
		old := n.scheduled(j.Lane, key)
		if old == nil || n.is("replacing needs room") {
			full := &queue.BacklogError{Lanes: []string{j.Lane}}
			if !n.room(l, new([]func()), full) {
				err = full
				return
			}
		}
		if old != nil && !n.is("does not replace") {
			n.remove(old)
		}
		n.put(&naiveJob{Job: j, key: key})
		l.pump()
	})
	return err
}

func (n *naive) scheduled(lane, key string) *naiveJob {
	for _, j := range n.jobs {
		if (j.Lane == lane || n.is("one set of keys")) && j.key == key && (!j.running || n.is("cancels what runs")) {
			return j
		}
	}
	return nil
}

// replaced reports whether the key of a job that ran was used again.
func (n *naive) replaced(j *naiveJob) bool {
	return slices.ContainsFunc(n.jobs, func(k *naiveJob) bool { return k != j && k.Lane == j.Lane && k.key == j.key })
}

func (n *naive) Cancel(ctx context.Context, lane, key string) (found bool, err error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	n.locked(func() {
		if j := n.scheduled(lane, key); j != nil {
			found = true
			if !n.is("cancels in words only") {
				n.remove(j)
			}
			n.lane(lane).pump()
		}
	})
	return found, nil
}

func (n *naive) Open(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	var err error
	var l *naiveLane
	n.locked(func() {
		l = n.lane(name)
		if l.open && !n.is("opens twice") {
			err = queue.ErrLaneOpen
			return
		}
		l.open, l.limit, l.handler = true, o.Limit, h
		l.admit = o.Admit
		if !n.is("an old hold stays") {
			l.held = time.Time{}
		}
		if n.is("reopens in another order") && l.opened {
			slices.Reverse(n.jobs)
		}
		l.opened = true
		l.ctx, l.cancel = context.WithCancel(context.Background())
		l.pump()
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// lane is called with the queue locked.
func (n *naive) lane(name string) *naiveLane {
	l := n.lanes[name]
	if l == nil {
		l = &naiveLane{naive: n, name: name, changed: make(chan struct{})}
		n.lanes[name] = l
	}
	return l
}

// garble alters a job as a careless store does.
func (n *naive) garble(j queue.Job) queue.Job {
	switch n.defect {
	case "loses nanoseconds":
		j.Enqueued, j.FirstTried = j.Enqueued.Truncate(time.Microsecond), j.FirstTried.Truncate(time.Microsecond)
	case "loses headers":
		j.Headers = nil
	case "loses attempts made before":
		j.Attempt = 0
	case "loses urgency":
		j.Urgent = false
	case "loses the generation":
		j.Generation = 0
	case "writes JSON anew":
		j.Event = rewritten(j.Event)
	}
	return j
}
