package sqlitequeue

import (
	"errors"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// This file is what transactions do to jobs.

// putEvent stores an event that refs jobs refer to, and returns its number.
func (t *tx) putEvent(body string, refs int) (int64, error) {
	t.queue.seq++
	seq := t.queue.seq
	_, err := t.exec("INSERT INTO event (seq, refs, format, body) VALUES (?, ?, ?, ?)", seq, int64(refs), int64(bodyFormat), body)
	return seq, err
}

// put stores a new job, behind the others of its order key.
func (t *tx) put(l *lane, r *row) error {
	if err := t.name(l); err != nil {
		return err
	}
	r.due = startAt(r.notBefore, t.now)
	if r.orderKey != "" {
		before, err := t.number("SELECT count(*) FROM (SELECT 1 FROM job WHERE lane = ? AND order_key = ? LIMIT 1)", l.num, r.orderKey)
		if err != nil {
			return err
		}
		if before > 0 {
			r.due = heldBack
		}
	}
	_, err := t.exec(`INSERT INTO job (lane, due, seq, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers,
		urgent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, l.num, r.due, r.seq, r.generation, r.enqueued, r.notBefore, r.firstTried,
		r.attempt, orNull(r.orderKey), orNull(r.name), blobOrNull(encodeHeaders(r.headers)), flag(r.urgent))
	r.steps = t.steps
	t.then = append(t.then, func() { l.added(r, t.gone[place{l, r.seq}]) })
	return err
}

// name stores the name of a lane with its first job.
func (t *tx) name(l *lane) error {
	if l.stored {
		return nil
	}
	_, err := t.exec("INSERT INTO lane (num, name) VALUES (?, ?)", l.num, l.name)
	l.stored = true
	t.undo = append(t.undo, func() { l.stored = false })
	return err
}

// settle applies the outcome of a job that ran.
func (t *tx) settle(l *lane, r *row, out queue.Disposition) error {
	after := *r
	after.follow(t.queue.openedAt, t.steps)
	if out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero() {
		after.attempt++
		if after.firstTried == nil {
			after.firstTried = stamp(out.Began)
		}
	}
	switch out.Action {
	case queue.Retry, queue.Postpone:
		after.due, after.notBefore = 0, nil
		if out.Delay > 0 {
			after.due = later(t.now, out.Delay)
			after.notBefore = after.due
		}
		if after.started = out.Action == queue.Retry; after.started {
			after.name = "" // tried, so that it can be cancelled no more
		}
		t.then = append(t.then, func() { *r = after })
		_, err := t.exec(`UPDATE job SET due = ?, not_before = ?, first_tried = ?, attempt = ?, pause = 1,
			name = CASE ? WHEN 1 THEN NULL ELSE name END WHERE lane = ? AND due = ? AND seq = ?`,
			after.due, after.notBefore, after.firstTried, after.attempt, flag(after.started), l.num, r.due, r.seq)
		return err
	case queue.Dead:
		if err := t.markDead(l, &after, out.Reason); err != nil {
			return err
		}
	default:
		t.drop(r.seq)
	}
	return t.remove(l, r)
}

// remove takes a job that is in memory, or was never loaded, out of its table, and lets the next of its order key go.
func (t *tx) remove(l *lane, r *row) error {
	if _, err := t.exec("DELETE FROM job WHERE lane = ? AND due = ? AND seq = ?", l.num, r.due, r.seq); err != nil {
		return err
	}
	t.then = append(t.then, func() { l.removed(r.seq) })
	if t.gone == nil {
		t.gone = map[place]bool{}
	}
	t.gone[place{l, r.seq}] = true
	if r.orderKey == "" {
		return nil
	}
	return t.release(l, r.orderKey)
}

// release lets the first job of an order key go, if it was held back.
func (t *tx) release(l *lane, key string) error {
	var next *row
	var bad error
	err := t.each(func(v []driverValue) bool {
		next, bad = readRow(v)
		return false
	}, `SELECT `+jobColumns+` FROM job CROSS JOIN event ON event.seq = job.seq
		WHERE lane = ? AND order_key = ? ORDER BY job.seq LIMIT 1`, l.num, key)
	switch {
	case err != nil:
		return err
	case bad != nil:
		return bad
	case next == nil || next.due != heldBack:
		return nil
	}
	next.steps = t.steps
	due := startAt(next.notBefore, t.now)
	_, err = t.exec("UPDATE job SET due = ? WHERE lane = ? AND due = ? AND seq = ?", due, l.num, next.due, next.seq)
	next.due = due
	t.then = append(t.then, func() {
		if !t.gone[place{l, next.seq}] {
			l.released(next)
		}
	})
	return err
}

// markDead keeps a job as evidence.
func (t *tx) markDead(l *lane, r *row, reason string) error {
	id := ""
	if !r.event.IsZero() {
		id = queue.Job{Event: r.event, Route: l.name, Generation: r.generation}.ID()
	}
	_, err := t.exec(`INSERT INTO dead (lane, job, seq, generation, enqueued, not_before, first_tried, attempt, order_key, headers, died, reason,
		urgent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, l.num, id, r.seq, r.generation, r.enqueued, r.notBefore, r.firstTried,
		r.attempt, orNull(r.orderKey), blobOrNull(encodeHeaders(r.headers)), t.now, reason, flag(r.urgent))
	t.then = append(t.then, func() { t.queue.dead.Add(1) })
	return err
}

// cancel removes the jobs of a schedule key that have not started. There is more than one only after a crash, when the
// previous one had started and the key was used again.
func (t *tx) cancel(l *lane, key string) (found bool, err error) {
	var all []*row
	var bad error
	err = t.each(func(v []driverValue) bool {
		r, err := readRow(v)
		all, bad = append(all, r), err
		return bad == nil
	}, `SELECT `+jobColumns+` FROM job CROSS JOIN event ON event.seq = job.seq WHERE lane = ? AND name = ?`, l.num, key)
	if err != nil || bad != nil {
		return false, errors.Join(err, bad)
	}
	for _, r := range all {
		if !t.takeOut(l, r.seq, true) {
			continue
		}
		found = true
		t.drop(r.seq)
		if err := t.remove(l, r); err != nil {
			return false, err
		}
	}
	return found, nil
}

// takeOut makes sure that a job does not start any more, and reports whether it could; fresh = only if it never has.
func (t *tx) takeOut(l *lane, seq int64, fresh bool) bool {
	r, ok := l.takeOut(seq, fresh)
	if !ok {
		return false
	}
	t.then = append(t.then, func() { l.tookOut() })
	t.undo = append(t.undo, func() {
		if r == nil {
			l.tookOut()
		} else {
			l.tookOut(r)
		}
	})
	return true
}

// enqueueAll stores a part of a call, the first one only if nothing of the call is in conflict. claim is nil if the
// part is all of it.
func (t *tx) enqueueAll(part []eventGroup, claim *idClaim) error {
	call := part
	if claim != nil {
		call = claim.groups
	}
	if claim == nil || !claim.checked {
		err := t.queue.known.conflict(call)
		if err == nil {
			err = t.queue.claims.conflict(call)
		}
		if err != nil {
			return &refusal{err}
		}
	}
	if claim != nil {
		claim.checked = true
		t.queue.claims.claim(claim)
	}
	for i := range part {
		if err := t.enqueue(&part[i]); err != nil {
			return err
		}
	}
	return nil
}

// enqueue stores an event and a job for each of its lanes that has not got it yet.
func (t *tx) enqueue(f *eventGroup) error {
	fresh := make([]int, 0, 8)
	lanes := make([]*lane, 0, 8)
	for i := range f.jobs {
		l := t.queue.lane(f.jobs[i].Route)
		if t.queue.known.has(f.key, l.num) {
			continue
		}
		t.queue.known.add(t, f.fingerprint, l.num)
		fresh, lanes = append(fresh, i), append(lanes, l)
	}
	if len(fresh) == 0 {
		return nil
	}
	seq, err := t.putEvent(f.body, len(fresh))
	if err != nil {
		return err
	}
	for n, i := range fresh {
		if err := t.put(lanes[n], newRow(&f.jobs[i], seq)); err != nil {
			return err
		}
	}
	return nil
}
