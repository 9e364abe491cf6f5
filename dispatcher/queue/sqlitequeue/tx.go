package sqlitequeue

import (
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// tx is a transaction under way: the durable.Tx of the file.
type tx struct {
	*conn
	store   *store
	now     int64
	free    *int64          // bytes of the disk when it was first asked for
	added   int64           // about how many bytes of new events
	records int64           // that were stored
	drops   map[int64]int64 // by event: how many jobs and dead letters refer to it no longer
	met     []knownKey      // ids that became known
	seen    []seenBefore    // what was known before
	undo    []func()        // if it fails, the last first
	then    []func()        // once it is on the disk
}

var _ durable.Tx = (*tx)(nil)

// Commit implements durable.Tx.
func (t *tx) Commit() error {
	if err := t.finish(); err != nil {
		return err
	}
	if _, err := t.exec("COMMIT"); err != nil {
		return err
	}
	// Before anything is acknowledged: is it where a restart looks for it?
	if t.store.moved = t.store.owner.verify(); t.store.moved != nil {
		return t.store.moved
	}
	for _, f := range t.then {
		f()
	}
	t.store.report(nil)
	return nil
}

// Rollback implements durable.Tx.
func (t *tx) Rollback() {
	_, _ = t.exec("ROLLBACK") // SQLite may have done so already
	t.store.known.undo(t)
	for _, f := range slices.Backward(t.undo) {
		f()
	}
}

// finish writes what the changes have in common.
func (t *tx) finish() error {
	for seq, n := range t.drops {
		deleted, err := t.exec("DELETE FROM event WHERE seq = ? AND refs <= ?", seq, n)
		if err == nil && deleted == 0 {
			_, err = t.exec("UPDATE event SET refs = refs - ? WHERE seq = ?", n, seq)
		}
		if err != nil {
			return err
		}
	}
	if t.records > 0 {
		if _, err := t.removeEnded(endedPerRecord * t.records); err != nil {
			return err
		}
	}
	return t.store.known.store(t)
}

// drop says that one job or dead letter less refers to an event.
func (t *tx) drop(seq int64) {
	if t.drops == nil {
		t.drops = map[int64]int64{}
	}
	t.drops[seq]++
}

// rowBytes is about what a job or an entry takes besides its event: in its table, its indexes and the log.
const rowBytes = 1024

// room is errNoRoom when so many rows with so many bytes in all would take the room that outcomes need.
func (t *tx) room(rows, bytes int) error {
	spare, err := t.store.volume.spare(t, int64(bytes)*5/4+int64(rows)*rowBytes)
	if err != nil {
		return err
	}
	if spare < 0 || t.store.noRoom {
		t.store.reportRoom(spare)
	}
	if spare < 0 {
		return errNoRoom
	}
	return nil
}

// Append implements durable.Tx.
func (t *tx) Append(calls []*durable.Append, lane func(string) *durable.Lane, room func(*durable.Append, *durable.Lane) (bool, error)) error {
	for _, a := range calls {
		a.Stored, a.Refused = nil, t.room(a.Rows, a.Bytes)
		if a.Refused == nil && a.ScheduleKey == "" {
			a.Refused = t.store.known.conflict(a.Check)
		}
		if a.Refused != nil {
			_, conflict := errors.AsType[*queue.ConflictError](a.Refused)
			if !conflict && !errors.Is(a.Refused, errNoRoom) {
				return a.Refused
			}
			continue
		}
		for _, e := range a.Events {
			if err := t.appendEvent(a, e, lane, room); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendEvent stores an event and a job for each of its lanes that has not got it yet and has room.
func (t *tx) appendEvent(a *durable.Append, e *durable.Event, lane func(string) *durable.Lane, room func(*durable.Append, *durable.Lane) (bool, error)) error {
	var got laneSet
	if a.ScheduleKey == "" {
		got = newLaneSet(t.store.known.seen[e.Key].lanes, len(e.Jobs))
	}
	first := len(a.Stored)
	for i := range e.Jobs {
		j := &e.Jobs[i]
		l := lane(j.Lane)
		if a.ScheduleKey == "" && got.has(l.Key) {
			continue
		}
		if ok, err := room(a, l); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := t.storeLane(l); err != nil {
			return err
		}
		got.add(l.Key)
		a.Stored = append(a.Stored, &durable.Job{Job: *j, Ref: &lanes.Ref{ScheduleKey: a.ScheduleKey, OrderKey: j.OrderKey}, In: l})
	}
	added := a.Stored[first:]
	if len(added) == 0 {
		return nil
	}
	if a.ScheduleKey == "" {
		t.store.known.set(t, e, got.list)
	}
	t.store.seq++
	_, err := t.exec("INSERT INTO event (seq, refs, format, body) VALUES (?, ?, ?, ?)", t.store.seq, int64(len(added)), int64(bodyFormat), e.Body)
	if err != nil {
		return err
	}
	for _, j := range added {
		if err := t.insertJob(j, j.In.Num, t.store.seq); err != nil {
			return err
		}
	}
	return nil
}

// storeLane gives a lane its number.
func (t *tx) storeLane(l *durable.Lane) (err error) {
	if l.Num != 0 {
		return nil
	}
	// It may be there, empty: the process ended before it was forgotten.
	l.Num, err = t.number("INSERT INTO lane (name) VALUES (?) ON CONFLICT DO UPDATE SET name = name RETURNING num", l.Name)
	t.undo = append(t.undo, func() { l.Num = 0 })
	return err
}

// startAt is the due of a job that nothing holds back.
func startAt(notBefore any, now int64) int64 {
	if at := integer(notBefore); at > now {
		return at
	}
	return durable.Now
}

// insertJob stores a new job of an event, behind the others of its order key.
func (t *tx) insertJob(j *durable.Job, lane, seq int64) error {
	notBefore := stamp(j.NotBefore)
	due := startAt(notBefore, t.now)
	if j.OrderKey != "" {
		before, err := t.number("SELECT count(*) FROM (SELECT 1 FROM "+byOrder+" WHERE lane = ? AND order_key = ? LIMIT 1)", lane, j.OrderKey)
		if err != nil {
			return err
		}
		if before > 0 {
			due = durable.HeldBack
		}
	}
	j.Ref.Num, j.Ref.Due = seq, due
	_, err := t.exec(`INSERT INTO job (lane, due, seq, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers,
		urgent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, lane, due, seq, j.Generation, stamp(j.Enqueued), notBefore,
		stamp(j.FirstTried), int64(j.Attempt), orNull(j.OrderKey), orNull(j.Ref.ScheduleKey), blobOrNull(stored.EncodeHeaders(j.Headers)), flag(j.Urgent))
	return err
}

// Settle implements durable.Tx.
func (t *tx) Settle(settlements []*durable.Settlement) (released []*durable.Job, err error) {
	for _, s := range settlements {
		if err := t.settle(s); err != nil {
			return nil, err
		}
		if s.RunsAgain() {
			continue
		}
		if released, err = t.remove(released, s.Lane, s.Job); err != nil {
			return nil, err
		}
	}
	return released, nil
}

func (t *tx) settle(s *durable.Settlement) (err error) {
	lane, out := s.Lane.Num, s.Disposition
	counts := flag(out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero())
	if s.RunsAgain() {
		s.Due = durable.Now
		var notBefore any
		if out.Delay > 0 {
			s.Due = later(t.now, out.Delay)
			notBefore = s.Due
		}
		_, err = t.exec(`UPDATE job SET due = ?, not_before = ?, first_tried = CASE ?5 WHEN 1 THEN coalesce(first_tried, ?3) ELSE first_tried END,
			attempt = attempt + ?5, pause = 1, name = CASE ?5 WHEN 1 THEN NULL ELSE name END WHERE lane = ?4 AND due = ?6 AND seq = ?7`,
			s.Due, notBefore, stamp(out.Began), lane, counts, s.Job.Due, s.Job.Num)
		return err
	}
	if out.Action == queue.Dead {
		_, err = t.exec(`INSERT INTO dead (lane, job, seq, generation, enqueued, not_before, first_tried, attempt, order_key, headers, urgent,
			died, reason, ends) SELECT lane, ?1, seq, generation, enqueued, not_before,
			CASE ?2 WHEN 1 THEN coalesce(first_tried, ?3) ELSE first_tried END, attempt + ?2, order_key, headers, urgent, ?4, ?5, ?9
			FROM job WHERE lane = ?6 AND due = ?7 AND seq = ?8`,
			s.ID, counts, stamp(out.Began), t.now, out.Reason, lane, s.Job.Due, s.Job.Num, t.endOf(s.Age))
		return err
	}
	t.drop(s.Job.Num)
	return nil
}

// Remove implements durable.Tx.
func (t *tx) Remove(lane *durable.Lane, jobs []*lanes.Ref) (released []*durable.Job, err error) {
	for _, ref := range jobs {
		t.drop(ref.Num)
		if released, err = t.remove(released, lane, ref); err != nil {
			return nil, err
		}
	}
	return released, nil
}

// remove takes a job out of its table, and lets the next of its order key go, which it appends to released.
func (t *tx) remove(released []*durable.Job, lane *durable.Lane, ref *lanes.Ref) ([]*durable.Job, error) {
	num := lane.Num
	_, err := t.exec("DELETE FROM job WHERE lane = ? AND due = ? AND seq = ?", num, ref.Due, ref.Num)
	if err != nil || ref.OrderKey == "" {
		return released, err
	}
	var next *durable.Job
	var bad error
	err = t.each(func(v []driverValue) bool { next, bad = readJob(v, lane.Name); return false },
		jobColumns+byOrder+withEvent+"WHERE lane = ? AND order_key = ? ORDER BY job.seq LIMIT 1", num, ref.OrderKey)
	if err = errors.Join(err, bad); err != nil || next == nil || next.Ref.Due != durable.HeldBack {
		return released, err
	}
	due := startAt(stamp(next.NotBefore), t.now)
	_, err = t.exec("UPDATE job SET due = ? WHERE lane = ? AND due = ? AND seq = ?", due, num, next.Ref.Due, next.Ref.Num)
	next.Ref.Due = due
	return append(released, next), err
}

// Scheduled implements durable.Tx.
func (t *tx) Scheduled(lane *durable.Lane, key string) ([]*lanes.Ref, error) {
	return t.refs(func(int64) bool { return false }, -1, byName+" WHERE lane = ? AND name = ?", lane.Num, key)
}

// Waiting implements durable.Tx. The youngest come first.
func (t *tx) Waiting(lane *durable.Lane, last int64, n int, skip func(num int64) bool) ([]*lanes.Ref, error) {
	return t.refs(skip, n, "job WHERE lane = ? AND seq <= ? ORDER BY due DESC, seq DESC", lane.Num, last)
}

// refs reads up to n jobs without those to skip; below 0 = all.
func (t *tx) refs(skip func(num int64) bool, n int, from string, args ...any) (all []*lanes.Ref, err error) {
	err = t.each(func(v []driverValue) bool {
		if num := integer(v[0]); !skip(num) {
			all = append(all, &lanes.Ref{Num: num, Due: integer(v[1]), OrderKey: text(v[2])})
		}
		return len(all) != n
	}, "SELECT seq, due, order_key FROM "+from, args...)
	return all, err
}

// Oldest implements durable.Tx. Jobs that may start at once, that wait for their times and that are held back are each
// in the order of their numbers in an index.
func (t *tx) Oldest(lane *durable.Lane, after int64, n int) (oldest []*durable.Job, err error) {
	var bad error
	err = t.each(func(v []driverValue) bool {
		var j *durable.Job
		if j, bad = readJob(v, lane.Name); bad == nil {
			oldest = append(oldest, j)
		}
		return bad == nil
	}, jobColumns+`(
		SELECT * FROM (SELECT * FROM job WHERE lane = ?1 AND due = 0 AND seq > ?2 ORDER BY seq LIMIT ?3)
		UNION ALL SELECT * FROM (SELECT * FROM `+byLater+` WHERE lane = ?1 AND due > 0 AND due < 9223372036854775807 AND seq > ?2
			ORDER BY seq LIMIT ?3)
		UNION ALL SELECT * FROM (SELECT * FROM job WHERE lane = ?1 AND due = 9223372036854775807 AND seq > ?2 ORDER BY seq LIMIT ?3)
		ORDER BY seq LIMIT ?3) AS job`+withEvent+"ORDER BY job.seq", lane.Num, after, int64(n))
	return oldest, errors.Join(err, bad)
}

// ClearScheduleKey implements durable.Tx.
func (t *tx) ClearScheduleKey(lane *durable.Lane, job *lanes.Ref) error {
	_, err := t.exec("UPDATE job SET name = NULL WHERE lane = ? AND due = ? AND seq = ?", lane.Num, job.Due, job.Num)
	return err
}

// Follow implements durable.Tx.
func (t *tx) Follow(by, now, since int64, held func(lane string, num int64) bool) error {
	if by < 0 {
		// Jobs in memory are among those that were due before the step.
		type paused struct{ lane, due, seq int64 }
		var over []paused
		before := now - by
		err := t.each(func(v []driverValue) bool {
			if p := (paused{integer(v[0]), integer(v[1]), integer(v[2])}); !held(text(v[3]), p.seq) {
				over = append(over, p)
			}
			return true
		}, "SELECT lane, due, seq, lane.name FROM job CROSS JOIN lane ON num = lane WHERE pause = 1 AND due > ? AND due <= ?", now, before)
		if err != nil {
			return err
		}
		const move = "UPDATE job SET due = due + ?1, not_before = due + ?1 WHERE pause = 1 AND "
		if _, err := t.exec(move+"due > ?2 AND due < ?3", by, before, durable.HeldBack); err != nil {
			return err
		}
		for _, p := range over {
			if _, err := t.exec(move+"lane = ?2 AND due = ?3 AND seq = ?4", by, p.lane, p.due, p.seq); err != nil {
				return err
			}
		}
	}
	_, err := t.exec("UPDATE job SET enqueued = enqueued + ?1, first_tried = first_tried + ?1 WHERE seq > ?2", by, since)
	return err
}

// Forget implements durable.Tx.
func (t *tx) Forget(all []*durable.Lane) error {
	for _, l := range all {
		if _, err := t.exec("DELETE FROM lane WHERE num = ?", l.Num); err != nil {
			return err
		}
	}
	return nil
}

// retain removes the dead letters that have reached their age, and the records that have ended, some at a time. It
// returns the lane of each of the dead letters.
func (t *tx) retain() (removed []string, err error) {
	s := t.store
	most := int64(s.volume.chunk())
	nums, err := t.removeAllDead("dead WHERE ends <= ? ORDER BY ends LIMIT ?", t.now, most)
	if err != nil {
		return nil, err
	}
	for _, num := range nums {
		err := t.each(func(v []driverValue) bool { removed = append(removed, text(v[0])); return false }, "SELECT name FROM lane WHERE num = ?", num)
		if err != nil {
			return nil, err
		}
	}
	ends, err := t.number(firstEnd)
	if err != nil {
		return nil, err
	}
	ended, err := t.removeEnded(most)
	t.then = append(t.then, func() { s.ends, s.leftOver = ends, ended == most || int64(len(nums)) == most })
	return removed, err
}
