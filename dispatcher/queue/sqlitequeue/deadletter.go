package sqlitequeue

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// endOf is when a dead letter has reached its age; NULL = never.
func (t *tx) endOf(age time.Duration) any {
	if age <= 0 {
		return nil
	}
	ends := later(t.now, age)
	t.then = append(t.then, func() {
		if t.store.ends == 0 || ends < t.store.ends {
			t.store.ends = ends
		}
	})
	return ends
}

// LastDead implements durable.Tx.
func (t *tx) LastDead() (int64, error) { return t.number("SELECT max(num) FROM dead") }

// TakeDead implements durable.Tx.
func (t *tx) TakeDead(s queue.Selection, last int64, n int, generation *int64) (taken durable.TakenDead, err error) {
	all, err := t.store.selected(t.conn, s, last, n)
	for _, d := range all {
		event := d.ref.Num
		taken.Lanes, taken.Seq = append(taken.Lanes, d.Lane), d.Seq
		if err == nil && generation != nil {
			j := &durable.Job{Job: d.Job, Ref: d.ref}
			j.Generation, j.Attempt, j.Enqueued = *generation, 0, moment(t.now)
			j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
			t.store.seq++
			_, err = t.exec("INSERT INTO event (seq, refs, format, body) SELECT ?, 1, format, body FROM event WHERE seq = ?", t.store.seq, event)
			if err == nil {
				err = t.insertJob(j, d.lane, t.store.seq)
			}
			taken.Requeued = append(taken.Requeued, j)
		}
		if err == nil {
			err = t.removeDead(d.Seq, event)
		}
	}
	return taken, err
}

// removeDead removes a dead letter.
func (t *tx) removeDead(num, event int64) error {
	_, err := t.exec("DELETE FROM dead WHERE num = ?", num)
	t.drop(event)
	return err
}

// RemoveDead implements durable.Tx.
func (t *tx) RemoveDead(lane *durable.Lane, n int) (int, error) {
	removed, err := t.removeAllDead("dead WHERE lane = ? ORDER BY num LIMIT ?", lane.Num, int64(n))
	return len(removed), err
}

// removeAllDead removes the dead letters that a query finds, and returns the numbers of their lanes.
func (t *tx) removeAllDead(from string, args ...any) (of []int64, err error) {
	var nums, events []int64
	err = t.each(func(v []driverValue) bool {
		nums, events, of = append(nums, integer(v[0])), append(events, integer(v[1])), append(of, integer(v[2]))
		return true
	}, "SELECT num, seq, lane FROM "+from, args...)
	for i := range nums {
		if err == nil {
			err = t.removeDead(nums[i], events[i])
		}
	}
	return of, err
}

// DeadLetters implements durable.Store.
func (s *store) DeadLetters(ctx context.Context, sel queue.Selection) (found []queue.DeadLetter, err error) {
	limit := -1 // none
	if sel.Limit > 0 {
		limit = sel.Limit
	}
	err = s.readers.inspect.read(ctx, func(c *conn) error {
		all, err := s.selected(c, sel, math.MaxInt64, limit)
		for _, d := range all {
			found = append(found, d.DeadLetter)
		}
		return err
	})
	return found, err
}

// deadLetter is a dead letter of the file. The Reason of one whose event cannot be read says so.
type deadLetter struct {
	queue.DeadLetter
	ref  *lanes.Ref // Num is that of its event
	lane int64      // number of its lane
}

// selected reads up to limit of the selected dead letters with numbers up to last; below 0 = all. Those of lanes are
// found by their lanes, whatever others have.
func (s *store) selected(c *conn, sel queue.Selection, last int64, limit int) (all []deadLetter, err error) {
	from, where, args := "dead", "dead.num > ? AND dead.num <= ?", []any{sel.After, last}
	if sel.Lane != "" {
		from, where, args = "dead INDEXED BY dead_lane", where+" AND dead.lane = (SELECT num FROM lane WHERE name = ?)", append(args, sel.Lane)
	}
	if sel.LanePrefix != "" {
		end := any(nil)
		if after := prefixEnd(sel.LanePrefix); after != "" {
			end = after
		}
		where, args = where+` AND dead.num IN (SELECT dead.num FROM lane CROSS JOIN dead INDEXED BY dead_lane ON dead.lane = lane.num
			WHERE name >= ? AND name < coalesce(?, x'ff'))`, append(args, sel.LanePrefix, end)
	}
	if !sel.Since.IsZero() {
		where, args = where+" AND died >= ?", append(args, stamp(sel.Since))
	}
	if sel.IDs != nil {
		list, err := json.Marshal(sel.IDs)
		if err != nil {
			return nil, err
		}
		where, args = where+" AND job IN (SELECT value FROM json_each(?))", append(args, string(list))
	}
	var bad error
	err = c.each(func(v []driverValue) bool {
		var j *durable.Job
		if j, bad = readJob(v, text(v[13])); bad != nil {
			return false
		}
		all = append(all, deadLetter{
			queue.DeadLetter{Job: j.Job, Seq: integer(v[14]), At: moment(v[15]), Reason: text(v[16])}, j.Ref, integer(v[17]),
		})
		return true
	}, `SELECT dead.seq, 0, generation, enqueued, not_before, first_tried, attempt, order_key, NULL, headers, urgent, format, body,
		lane.name, dead.num, died, reason, dead.lane FROM `+from+` CROSS JOIN event ON event.seq = dead.seq CROSS JOIN lane ON lane.num = dead.lane
		WHERE `+where+` ORDER BY dead.num LIMIT ?`, append(args, int64(limit))...)
	return all, errors.Join(err, bad)
}

// prefixEnd is what comes after all texts that begin so; "" = there is none.
func prefixEnd(prefix string) string {
	for b := []byte(prefix); len(b) > 0; b = b[:len(b)-1] {
		if b[len(b)-1] < 0xff {
			b[len(b)-1]++
			return string(b)
		}
	}
	return ""
}
