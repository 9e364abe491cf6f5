package durable

import (
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// transaction is a Tx and what it changes in memory once it is stored.
type transaction struct {
	Tx
	queue           *Queue
	settled         []*Settlement
	fresh, released []*Job          // new jobs, and those that an order key holds back no longer
	removed         map[jobNum]bool // removed
	taken           []taken
	failed          *change
}

// jobNum is a job by its number in the store.
type jobNum struct {
	lane string
	num  int64
}

// taken is an entry that was taken out of its lane.
type taken struct {
	lane  *lanes.Lane
	entry *lanes.Entry
}

// apply does the batch's changes: outcomes, then apply in the order of the calls, then new events.
func (t *transaction) apply(batch []*change) (err error) {
	for _, c := range batch {
		c.refused = nil
		if c.settle != nil {
			t.settled = append(t.settled, c.settle)
		}
	}
	if len(t.settled) > 0 {
		if t.released, err = t.Settle(t.settled); err != nil {
			return err
		}
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
	if len(calls) == 0 {
		return nil
	}
	if err := t.Append(calls); err != nil {
		return err
	}
	for _, c := range batch {
		if c.append == nil || c.refused != nil {
			continue
		}
		if c.refused = c.append.Refused; c.refused != nil {
			continue
		}
		t.fresh = append(t.fresh, c.append.Stored...)
		if c.started != nil {
			if err := t.ClearScheduleKey(c.started.lane, c.started.ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// cancel removes the jobs of a schedule key that have not started, but for one. There is more than one only when the
// previous one ran as the key was used again.
func (t *transaction) cancel(l *lane, key string, but int64) (found bool, err error) {
	all, err := t.Scheduled(l.name, key)
	if err != nil {
		return false, err
	}
	refs := slices.DeleteFunc(all, func(ref *lanes.Ref) bool { return ref.Num == but || !t.take(l, ref.Num, false) })
	return len(refs) > 0, t.remove(l, refs)
}

// take makes sure that a job does not start any more, and reports whether it could. One that has started before is
// taken only if that does not matter.
func (t *transaction) take(l *lane, num int64, evenStarted bool) bool {
	e := l.held[num]
	if e == nil {
		return true // and no load comes in between
	}
	inner := l.inner.Load()
	if !inner.Take(e, evenStarted) {
		return false
	}
	t.taken = append(t.taken, taken{inner, e})
	return true
}

// putBack undoes take. A purge takes the youngest first.
func (t *transaction) putBack() {
	for _, k := range slices.Backward(t.taken) {
		k.lane.Put(k.entry)
	}
}

// remove removes jobs that were taken.
func (t *transaction) remove(l *lane, refs []*lanes.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	released, err := t.Remove(l.name, refs)
	t.released = append(t.released, released...)
	if t.removed == nil {
		t.removed = map[jobNum]bool{}
	}
	for _, ref := range refs {
		t.removed[jobNum{l.name, ref.Num}] = true
	}
	return err
}

// finish does in memory what is now durable.
func (t *transaction) finish() {
	for _, s := range t.settled {
		l := t.queue.lane(s.Lane)
		if !s.RunsAgain() {
			delete(l.held, s.Job.Num)
			l.add(-1, -1)
			continue
		}
		l.add(0, -1)
		s.Job.Due = s.Due
		if s.Disposition.Action == queue.Retry {
			s.Job.ScheduleKey = "" // it was tried, so that it can be cancelled no more
		}
		if s.Due != Now {
			delete(l.held, s.Job.Num)
			l.inner.Load().StoredUntil(s.Due)
		}
	}
	for at := range t.removed {
		l := t.queue.lane(at.lane)
		delete(l.held, at.num)
		l.add(-1, 0)
	}
	for _, j := range t.fresh {
		t.queue.writer.lastNum = max(t.queue.writer.lastNum, j.Ref.Num)
		t.queue.lane(j.Lane).add(1, 0)
		t.handOver(j, true)
	}
	for _, j := range t.released {
		t.handOver(j, false)
	}
}

// handOver gives a job to its lane if it may start and the lane was opened. A new one goes there only if it is its
// turn, and the window has room; others have to, because a load does not find what is before the cursor.
func (t *transaction) handOver(j *Job, isNew bool) {
	l, num := t.queue.lane(j.Lane), j.Ref.Num
	inner := l.inner.Load()
	switch {
	case inner == nil || j.Ref.Due == HeldBack || t.removed[jobNum{l.name, num}] || l.held[num] != nil:
		return
	case j.Ref.Due != Now:
		inner.StoredUntil(j.Ref.Due)
		return
	}
	e := t.queue.entry(j)
	switch {
	case !isNew:
		inner.Put(e)
	case !inner.Offer(e):
		return
	case !j.Urgent || j.OrderKey != "":
		l.cursor = num
	}
	l.held[num] = e
}
