package sqlitequeue

import (
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
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
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
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
func (t *tx) Append(calls []*durable.Append) error {
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
			if err := t.appendEvent(a, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendEvent stores an event and a job for each of its lanes that has not got it yet.
func (t *tx) appendEvent(a *durable.Append, e *durable.Event) error {
	first := len(a.Stored)
	for i := range e.Jobs {
		j := &e.Jobs[i]
		lane, err := t.lane(j.Lane)
		if err != nil {
			return err
		}
		if a.ScheduleKey == "" {
			if t.store.known.has(e.Key, lane) {
				continue
			}
			t.store.known.add(t, e, lane)
		}
		a.Stored = append(a.Stored, &durable.Job{Job: *j, Ref: &lanes.Ref{ScheduleKey: a.ScheduleKey, OrderKey: j.OrderKey}})
	}
	stored := a.Stored[first:]
	if len(stored) == 0 {
		return nil
	}
	t.store.seq++
	_, err := t.exec("INSERT INTO event (seq, refs, format, body) VALUES (?, ?, ?, ?)", t.store.seq, int64(len(stored)), int64(bodyFormat), e.Body)
	if err != nil {
		return err
	}
	for _, j := range stored {
		if err := t.insertJob(j, t.store.seq); err != nil {
			return err
		}
	}
	return nil
}

// lane returns the number of a lane, which is stored with its first job.
func (t *tx) lane(name string) (int64, error) {
	if num := t.store.lane(name); num != 0 {
		return num, nil
	}
	if _, err := t.exec("INSERT INTO lane (name) VALUES (?)", name); err != nil {
		return 0, err
	}
	num, err := t.number("SELECT last_insert_rowid()")
	t.store.setLane(name, num)
	t.undo = append(t.undo, func() { t.store.setLane(name, 0) })
	return num, err
}

// startAt is the due of a job that nothing holds back.
func startAt(notBefore any, now int64) int64 {
	if at := integer(notBefore); at > now {
		return at
	}
	return durable.Now
}

// insertJob stores a new job of an event, behind the others of its order key.
func (t *tx) insertJob(j *durable.Job, seq int64) error {
	lane := t.store.lane(j.Lane)
	notBefore := stamp(j.NotBefore)
	due := startAt(notBefore, t.now)
	if j.OrderKey != "" {
		before, err := t.number("SELECT count(*) FROM (SELECT 1 FROM job WHERE lane = ? AND order_key = ? LIMIT 1)", lane, j.OrderKey)
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
		stamp(j.FirstTried), int64(j.Attempt), orNull(j.OrderKey), orNull(j.Ref.ScheduleKey), blobOrNull(encodeHeaders(j.Headers)), flag(j.Urgent))
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
	lane, out := t.store.lane(s.Lane), s.Disposition
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
			died, reason) SELECT lane, ?1, seq, generation, enqueued, not_before,
			CASE ?2 WHEN 1 THEN coalesce(first_tried, ?3) ELSE first_tried END, attempt + ?2, order_key, headers, urgent, ?4, ?5
			FROM job WHERE lane = ?6 AND due = ?7 AND seq = ?8`,
			s.ID, counts, stamp(out.Began), t.now, out.Reason, lane, s.Job.Due, s.Job.Num)
		if err != nil {
			return err
		}
		t.then = append(t.then, func() { t.store.dead.Add(1) })
		return nil
	}
	t.drop(s.Job.Num)
	return nil
}

// Remove implements durable.Tx.
func (t *tx) Remove(lane string, jobs []*lanes.Ref) (released []*durable.Job, err error) {
	for _, ref := range jobs {
		t.drop(ref.Num)
		if released, err = t.remove(released, lane, ref); err != nil {
			return nil, err
		}
	}
	return released, nil
}

// remove takes a job out of its table, and lets the next of its order key go, which it appends to released.
func (t *tx) remove(released []*durable.Job, lane string, ref *lanes.Ref) ([]*durable.Job, error) {
	num := t.store.lane(lane)
	_, err := t.exec("DELETE FROM job WHERE lane = ? AND due = ? AND seq = ?", num, ref.Due, ref.Num)
	if err != nil || ref.OrderKey == "" {
		return released, err
	}
	var next *durable.Job
	var bad error
	err = t.each(func(v []driverValue) bool { next, bad = readJob(v, lane); return false },
		jobQuery+"WHERE lane = ? AND order_key = ? ORDER BY job.seq LIMIT 1", num, ref.OrderKey)
	if err = errors.Join(err, bad); err != nil || next == nil || next.Ref.Due != durable.HeldBack {
		return released, err
	}
	due := startAt(stamp(next.NotBefore), t.now)
	_, err = t.exec("UPDATE job SET due = ? WHERE lane = ? AND due = ? AND seq = ?", due, num, next.Ref.Due, next.Ref.Num)
	next.Ref.Due = due
	return append(released, next), err
}

// Scheduled implements durable.Tx.
func (t *tx) Scheduled(lane, key string) ([]*lanes.Ref, error) {
	return t.refs(func(int64) bool { return false }, -1, "lane = ? AND name = ?", t.store.lane(lane), key)
}

// Waiting implements durable.Tx. The youngest come first.
func (t *tx) Waiting(lane string, last int64, n int, skip func(num int64) bool) ([]*lanes.Ref, error) {
	return t.refs(skip, n, "lane = ? AND seq <= ? ORDER BY due DESC, seq DESC", t.store.lane(lane), last)
}

// refs reads up to n jobs without those to skip; below 0 = all.
func (t *tx) refs(skip func(num int64) bool, n int, where string, args ...any) (all []*lanes.Ref, err error) {
	err = t.each(func(v []driverValue) bool {
		if num := integer(v[0]); !skip(num) {
			all = append(all, &lanes.Ref{Num: num, Due: integer(v[1]), OrderKey: text(v[2])})
		}
		return len(all) != n
	}, "SELECT seq, due, order_key FROM job WHERE "+where, args...)
	return all, err
}

// ClearScheduleKey implements durable.Tx.
func (t *tx) ClearScheduleKey(lane string, job *lanes.Ref) error {
	_, err := t.exec("UPDATE job SET name = NULL WHERE lane = ? AND due = ? AND seq = ?", t.store.lane(lane), job.Due, job.Num)
	return err
}

// LastDead implements durable.Tx.
func (t *tx) LastDead() (int64, error) { return t.number("SELECT max(num) FROM dead") }

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

// TakeDead implements durable.Tx.
func (t *tx) TakeDead(s queue.Selection, last int64, n int, generation *int64) (taken int, seq int64, requeued []*durable.Job, err error) {
	all, err := t.store.selected(t.conn, s, last, n)
	for _, d := range all {
		event := d.ref.Num
		seq = d.Seq
		if err == nil && generation != nil {
			j := &durable.Job{Job: d.Job, Ref: d.ref}
			j.Generation, j.Attempt, j.Enqueued = *generation, 0, moment(t.now)
			j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
			t.store.seq++
			_, err = t.exec("INSERT INTO event (seq, refs, format, body) SELECT ?, 1, format, body FROM event WHERE seq = ?", t.store.seq, event)
			if err == nil {
				err = t.insertJob(j, t.store.seq)
			}
			requeued = append(requeued, j)
		}
		if err == nil {
			err = t.removeDead(d.Seq, event)
		}
	}
	return len(all), seq, requeued, err
}

// removeDead removes a dead letter.
func (t *tx) removeDead(num, event int64) error {
	_, err := t.exec("DELETE FROM dead WHERE num = ?", num)
	t.drop(event)
	t.then = append(t.then, func() { t.store.dead.Add(-1) })
	return err
}

// retain removes the dead letters that are too many or too old, and the records that have ended, some at a time.
func (t *tx) retain() error {
	s := t.store
	most := int64(s.volume.chunk())
	tooMany := min(max(s.dead.Load()-int64(s.deadLimit), 0), most)
	oldest := int64(0)
	if s.deadAge > 0 {
		oldest = t.now - int64(s.deadAge)
	}
	var nums, events []int64
	err := t.each(func(v []driverValue) bool {
		if int64(len(nums)) >= tooMany && integer(v[2]) >= oldest {
			return false
		}
		nums, events = append(nums, integer(v[0])), append(events, integer(v[1]))
		return true
	}, "SELECT num, seq, died FROM dead ORDER BY num LIMIT ?", most)
	if err != nil {
		return err
	}
	for i := range nums {
		if err := t.removeDead(nums[i], events[i]); err != nil {
			return err
		}
	}
	ended, err := t.removeEnded(most)
	if err == nil {
		t.then = append(t.then, func() { s.leftOver = ended == most || int64(len(nums)) == most })
	}
	return err
}
