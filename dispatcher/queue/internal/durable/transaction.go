package durable

import (
	"errors"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// transaction is a Tx and what it changes in memory once it is stored.
type transaction struct {
	Tx
	queue           *Queue
	touched         []*Lane // lanes with something pending
	settled         []*Settlement
	fresh, released []*Job          // new jobs, and those that an order key holds back no longer
	removed         map[jobNum]bool // removed
	taken           []taken
	failed          *change
}

// jobNum is a job by its number in the store.
type jobNum struct {
	lane *Lane
	num  int64
}

// taken is an entry that was taken out of its lane.
type taken struct {
	lane  *lanes.Lane
	entry *lanes.Entry
}

// count changes the numbers of a lane, once the transaction is stored.
func (t *transaction) count(l *Lane, d counts) {
	if !l.touched {
		l.touched = true
		t.touched = append(t.touched, l)
	}
	if t.queue.shared != nil && !l.isLimited() { // others change them, and nobody asks for them
		d.total, d.dead = 0, 0
	}
	l.pending.add(d)
}

// apply does the batch's changes: outcomes, then apply in the order of the calls, then new events.
func (t *transaction) apply(batch []*change) (err error) {
	var settled []*Settlement
	for _, c := range batch {
		c.refused = nil
		if c.settle != nil {
			settled = append(settled, c.settle)
		}
	}
	if err := t.settle(settled); err != nil {
		return err
	}
	for _, c := range batch {
		if c.apply == nil {
			continue
		}
		err := c.apply(t)
		if no, ok := errors.AsType[*refusal](err); ok {
			c.refused, err = no.error, nil
		}
		if err != nil {
			t.failed = c
			return err
		}
	}
	var calls []*Append
	for _, c := range batch {
		if c.append == nil {
			continue
		}
		if c.refused = t.queue.writer.conflict(c.append); c.refused == nil {
			calls = append(calls, c.append)
		}
	}
	if err := t.store(calls...); err != nil {
		return err
	}
	for _, c := range batch {
		if c.append == nil || c.refused != nil {
			continue
		}
		if c.refused = c.append.Refused; c.refused != nil {
			continue
		}
		if c.started != nil {
			if err := t.ClearScheduleKey(c.started.lane, c.started.ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle applies outcomes, and has lanes keep no more dead letters than they may.
func (t *transaction) settle(settled []*Settlement) error {
	if len(settled) == 0 {
		return nil
	}
	var dead []*Lane
	for _, s := range settled {
		d := counts{running: -1}
		if !s.RunsAgain() {
			d.total = -1
		}
		if s.Disposition.Action == queue.Dead {
			d.dead = 1
			dead = append(dead, s.Lane)
			s.Age = t.deadAge(s.Lane)
		}
		t.count(s.Lane, d)
	}
	t.settled = append(t.settled, settled...)
	released, err := t.Settle(settled)
	t.released = append(t.released, released...)
	for _, l := range dead {
		if err == nil {
			err = t.limitDead(l)
		}
	}
	return err
}

// deadAge is how long a dead letter of a lane is kept; 0 = forever.
func (t *transaction) deadAge(l *Lane) time.Duration {
	if age := l.getBound().DeadLetterAge; age > 0 {
		return age
	}
	return max(t.queue.DeadAge, 0)
}

// limitDead removes the oldest dead letters of a lane that has too many, some at a time.
func (t *transaction) limitDead(l *Lane) error {
	most := l.getBound().DeadLetters
	if most <= 0 {
		most = queue.DefaultDeadLetters
	}
	if shared, ok := t.Tx.(SharedTx); ok {
		if err := shared.Recount([]*Lane{l}); err != nil {
			return err
		}
	}
	n := min(l.count().dead+l.pending.dead-most, t.queue.Chunk)
	if n <= 0 {
		return nil
	}
	n, err := t.RemoveDead(l, n)
	t.count(l, counts{dead: -n})
	return err
}

// store stores the events of calls.
func (t *transaction) store(calls ...*Append) error {
	if len(calls) == 0 {
		return nil
	}
	for _, a := range calls {
		a.full, a.dropped = queue.BacklogError{}, nil
	}
	err := t.recount(calls)
	if err == nil {
		err = t.Append(calls, t.lane, t.room)
	}
	for _, a := range calls {
		t.fresh = append(t.fresh, a.Stored...)
	}
	return err
}

// lane is the lane of a new job. It is forgotten again if it gets none.
func (t *transaction) lane(name string) *Lane {
	l := t.queue.lane(name)
	t.count(l, counts{})
	return l
}

// room counts a new job in its lane, if there is room for it or can be made. What had no room is named in the call.
func (t *transaction) room(a *Append, l *Lane) (bool, error) {
	// What is behind a refused job of its lane is refused too, though there may be room by now: whoever repeats the
	// call finds both in their order.
	if slices.Contains(a.full.Lanes, l.Name) || slices.Contains(a.refused, l.Name) {
		return false, nil
	}
	ok, own := a.unbounded, true
	if !ok {
		ok, own = l.room()
	}
	if !ok && a.ScheduleKey == "" {
		var err error
		if ok, err = t.drop(a, l); err != nil {
			return false, err
		}
	}
	if ok {
		l.pending.total++
		return true, nil
	}
	a.full.Lanes = append(a.full.Lanes, l.Name)
	if own {
		a.full.Groups = append(a.full.Groups, l.getBound().Group)
	}
	return false, nil
}

// lookedAt is how many jobs are read at once to find one to drop, once the first is none: it runs or is to be kept.
const lookedAt = 16

// drop drops the oldest waiting job of a lane, if its bound lets it. One to be kept is looked at once.
func (t *transaction) drop(a *Append, l *Lane) (bool, error) {
	b, which, after := l.dropping()
	if !b.DropOldest {
		return false, nil
	}
	if elsewhere, err := t.elsewhere(l); err != nil || elsewhere {
		return elsewhere, err // its owner drops it
	}
	allKept := true // so far
	for n := 1; ; n = lookedAt {
		oldest, err := t.Oldest(l, after, n)
		if err != nil || len(oldest) == 0 {
			return false, err
		}
		for _, j := range oldest {
			after = j.Ref.Num
			if b.Keep != nil && j.Ref.Unreadable == "" && b.Keep(j.Event) {
				if allKept {
					l.keep(which, after)
				}
				continue
			}
			allKept = false
			if !t.take(l, j.Ref.Num, true) {
				continue
			}
			a.dropped = append(a.dropped, lanes.Dropped{Job: j.Job, Bound: b})
			return true, t.markDead(l, j, "dropped: the backlog was full")
		}
	}
}

// markDead makes a job that was taken a dead letter.
func (t *transaction) markDead(l *Lane, j *Job, reason string) error {
	s := &Settlement{Lane: l, Job: j.Ref, Disposition: queue.Disposition{Action: queue.Dead, Reason: reason}, Age: t.deadAge(l)}
	if j.Ref.Unreadable == "" {
		s.ID = j.ID()
	}
	t.count(l, counts{total: -1, dead: 1})
	t.noteRemoved(l, j.Ref)
	released, err := t.Settle([]*Settlement{s})
	t.released = append(t.released, released...)
	if err != nil {
		return err
	}
	return t.limitDead(l)
}

// scheduled finds the jobs of a schedule key that have not started. There is more than one only when the previous one
// ran as the key was used again.
func (t *transaction) scheduled(l *Lane, key string) ([]*lanes.Ref, error) {
	if elsewhere, err := t.elsewhere(l); err != nil || elsewhere {
		return nil, err
	}
	all, err := t.Scheduled(l, key)
	return slices.DeleteFunc(all, func(ref *lanes.Ref) bool {
		e := l.held.Get(ref.Num)
		return e != nil && !l.inner.Waits(e)
	}), err
}

// cancel removes the jobs of a schedule key that have not started and have numbers below that.
func (t *transaction) cancel(l *Lane, key string, below int64) (found bool, err error) {
	all, err := t.Scheduled(l, key)
	if err != nil {
		return false, err
	}
	refs := slices.DeleteFunc(all, func(ref *lanes.Ref) bool { return ref.Num >= below || !t.take(l, ref.Num, false) })
	return len(refs) > 0, t.remove(l, refs)
}

// take makes sure that a job does not start any more, and reports whether it could. One that has started before is
// taken only if that does not matter.
func (t *transaction) take(l *Lane, num int64, evenStarted bool) bool {
	e := l.held.Get(num)
	if e == nil {
		return true // and no load comes in between
	}
	if !l.inner.Take(e, evenStarted) {
		return false
	}
	t.taken = append(t.taken, taken{l.inner, e})
	return true
}

// remove removes jobs that were taken.
func (t *transaction) remove(l *Lane, refs []*lanes.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	t.count(l, counts{total: -len(refs)})
	for _, ref := range refs {
		t.noteRemoved(l, ref)
	}
	released, err := t.Remove(l, refs)
	t.released = append(t.released, released...)
	return err
}

// notSettled undoes the counting of an outcome that was not stored.
func (t *transaction) notSettled(s *Settlement) {
	var d counts
	if !s.RunsAgain() {
		d.total = 1
	}
	if s.Disposition.Action == queue.Dead {
		d.dead = -1
	}
	t.count(s.Lane, d)
}

func (t *transaction) noteRemoved(l *Lane, ref *lanes.Ref) {
	if t.removed == nil {
		t.removed = map[jobNum]bool{}
	}
	t.removed[jobNum{l, ref.Num}] = true
}

// undo does in memory what a transaction that failed needs. A purge takes the youngest first.
func (t *transaction) undo() {
	for _, k := range slices.Backward(t.taken) {
		k.lane.Put(k.entry)
	}
	for _, l := range t.touched {
		l.pending = counts{}
		t.end(l)
	}
}

// end ends a lane's part in the transaction.
func (t *transaction) end(l *Lane) {
	l.add(l.pending, l.taken)
	l.pending, l.taken, l.touched = counts{}, 0, false
	t.queue.writer.checkIdle(l)
}

// finish does in memory what is now durable.
func (t *transaction) finish() {
	for _, s := range t.settled {
		l := s.Lane
		if s.Lost {
			if e := l.held.Get(s.Job.Num); e != nil && e.Ref() == s.Job {
				l.held.Remove(s.Job.Num)
			}
			t.notSettled(s)
			continue
		}
		if !s.RunsAgain() {
			l.held.Remove(s.Job.Num)
			continue
		}
		s.Job.Due = s.Due
		if s.Disposition.Action == queue.Retry {
			s.Job.ScheduleKey = "" // it was tried, so that it can be cancelled no more
		}
		if s.Due != Now {
			l.held.Remove(s.Job.Num)
			l.inner.StoredUntil(s.Due)
		}
	}
	for at := range t.removed {
		at.lane.held.Remove(at.num)
	}
	for _, l := range t.touched {
		t.end(l)
	}
	for _, j := range t.fresh {
		t.queue.writer.lastNum = max(t.queue.writer.lastNum, j.Ref.Num)
		t.handOver(j, true)
	}
	for _, j := range t.released {
		t.handOver(j, false)
	}
}

// handOver gives a job to its lane if it may start and the lane is served. A new one goes there only if it is its turn,
// and the window has room; others have to, because a load does not find what is before the cursor.
func (t *transaction) handOver(j *Job, isNew bool) {
	l, num := t.queue.lane(j.Lane), j.Ref.Num
	switch {
	case t.queue.shared != nil && !t.queue.handsOver(l, j, isNew):
		return
	case !l.serving || j.Ref.Due == HeldBack || t.removed[jobNum{l, num}] || l.held.Get(num) != nil:
		return
	case j.Ref.Due != Now:
		l.inner.StoredUntil(j.Ref.Due)
		return
	}
	e := t.queue.entry(l, j)
	switch {
	case !isNew:
		l.inner.Put(e)
	case !l.inner.Offer(e):
		return
	case !j.Urgent || j.OrderKey != "":
		l.cursor = num
	}
	l.held.Set(num, e)
}
