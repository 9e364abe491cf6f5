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
	fresh, released []*Job // new jobs, and those that an order key holds back no longer
	gone            map[place]bool
	taken           []taken
	failed          *change
}

// place is where a job is.
type place struct {
	lane string
	num  int64
}

// taken is an entry that was taken out of its lane.
type taken struct {
	lane  *lane
	entry *lanes.Entry
}

// apply does the batch's changes: outcomes, then apply in the order of the calls, then new events.
func (t *transaction) apply(w *writer, batch []*change) error {
	for _, c := range batch {
		c.refused = nil
		if c.settle != nil {
			t.settled = append(t.settled, c.settle)
		}
	}
	if len(t.settled) > 0 {
		if err := t.Settle(t.settled); err != nil {
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
	var calls []*change
	for _, c := range batch {
		switch {
		case c.append == nil:
		case len(c.rest) == 0 && c.append.Whole != nil: // all of the call, as nearly always
			if c.refused = w.conflict(c); c.refused == nil {
				calls = append(calls, c)
			}
		default: // whoever comes after it is to know of it
			if err := t.appendCalls(calls); err != nil {
				return err
			}
			calls = nil
			if err := t.appendLarge(w, c); err != nil {
				return err
			}
		}
	}
	return t.appendCalls(calls)
}

func (t *transaction) appendCalls(calls []*change) error {
	if len(calls) == 0 {
		return nil
	}
	all := make([]*Append, len(calls))
	for i, c := range calls {
		c.append.Stored, c.append.Refused = nil, nil
		all[i] = c.append
	}
	if err := t.Append(all); err != nil {
		return err
	}
	for _, c := range calls {
		c.refused = c.append.Refused
		if c.refused != nil {
			continue
		}
		t.added(c.append.Stored)
		if s := c.scheduled; s != nil {
			if err := t.Unname(s.lane, s.ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendLarge stores a part of a call. From the first one on, nobody else can store one of its ids with other data: a
// call in conflict is refused before anything of it is stored.
func (t *transaction) appendLarge(w *writer, c *change) error {
	first := c.append.Whole != nil
	if first {
		c.refused = w.conflict(c)
	}
	if c.refused == nil {
		if err := t.appendCalls([]*change{c}); err != nil {
			return err
		}
	}
	if first && c.refused == nil && !slices.Contains(w.large, c) { // or this transaction was tried before
		w.large = append(w.large, c)
	}
	return nil
}

// added notes new jobs.
func (t *transaction) added(jobs []*Job) { t.fresh = append(t.fresh, jobs...) }

// cancel removes the jobs of a schedule key that have not started, but for one. There is more than one only after a
// crash, when the previous one had started and the key was used again.
func (t *transaction) cancel(l *lane, key string, but int64) (found bool, err error) {
	all, err := t.Named(l.name, key)
	if err != nil {
		return false, err
	}
	var refs []*lanes.Ref
	for _, ref := range all {
		if ref.Num != but && t.take(l, ref.Num, false) {
			refs = append(refs, ref)
		}
	}
	return len(refs) > 0, t.remove(l, refs)
}

// take makes sure that a job does not start any more, and reports whether it could. One that has started before is
// taken only if that does not matter.
func (t *transaction) take(l *lane, num int64, evenStarted bool) bool {
	e := l.held[num]
	if e == nil {
		return true // and no load comes in between
	}
	if !l.inner.Load().Take(e, evenStarted) {
		return false
	}
	t.taken = append(t.taken, taken{l, e})
	return true
}

// putBack undoes take.
func (t *transaction) putBack() {
	for _, k := range t.taken {
		k.lane.inner.Load().Put(k.entry)
	}
}

// remove removes jobs that were taken.
func (t *transaction) remove(l *lane, refs []*lanes.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	released, err := t.Remove(l.name, refs)
	t.released = append(t.released, released...)
	for _, ref := range refs {
		t.gone[place{l.name, ref.Num}] = true
	}
	return err
}

// finish does in memory what is now durable.
func (t *transaction) finish() {
	for _, s := range t.settled {
		l := t.queue.lane(s.Lane)
		if s.Released != nil {
			t.released = append(t.released, s.Released)
		}
		if !s.Runs() {
			delete(l.held, s.Job.Num)
			l.total.Add(-1)
			continue
		}
		s.Job.Due = s.Due
		if s.Outcome.Action == queue.Retry {
			s.Job.Name = "" // it was tried, so that it can be cancelled no more
		}
		if s.State != Now {
			delete(l.held, s.Job.Num)
			l.inner.Load().StoredUntil(s.State)
		}
	}
	for at := range t.gone {
		l := t.queue.lane(at.lane)
		delete(l.held, at.num)
		l.total.Add(-1)
	}
	for _, j := range t.fresh {
		l := t.queue.lane(j.Route)
		l.total.Add(1)
		t.handOver(l, j, func(inner *lanes.Lane, e *lanes.Entry) bool {
			if !inner.Offer(e) {
				return false
			}
			if !j.Urgent || j.OrderKey != "" {
				l.cursor = j.Ref.Num
			}
			return true
		})
	}
	for _, j := range t.released {
		t.handOver(t.queue.lane(j.Route), j, func(inner *lanes.Lane, e *lanes.Entry) bool {
			inner.Put(e) // however full the window is: a load does not find what is before the cursor
			return true
		})
	}
}

// handOver gives a job to its lane, by put, if it may start and the lane was opened.
func (t *transaction) handOver(l *lane, j *Job, put func(*lanes.Lane, *lanes.Entry) bool) {
	inner := l.inner.Load()
	switch {
	case inner == nil || j.State == HeldBack || t.gone[place{l.name, j.Ref.Num}] || l.held[j.Ref.Num] != nil:
	case j.State != Now:
		inner.StoredUntil(j.State)
	default:
		e := t.queue.entry(j)
		l.held[j.Ref.Num] = e
		if !put(inner, e) {
			delete(l.held, j.Ref.Num)
		}
	}
}
