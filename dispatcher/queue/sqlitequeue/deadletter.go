package sqlitequeue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// chunk is how many jobs, dead letters or entries a transaction takes on that has many, at most: others come in
// between.
const chunk = 1000

// deadColumns are a letter's in the order that readDeadRow expects.
const deadColumns = `dead.num, lane, dead.seq, generation, enqueued, not_before, first_tried, attempt, order_key, headers, died, reason,
	urgent, format, body`

// deadRow is a dead letter of the file.
type deadRow struct {
	row
	num, lane, died int64
	reason          string
}

func readDeadRow(v []driverValue) (*deadRow, error) {
	headers, err := decodeHeaders(blob(v[9]))
	if err != nil {
		return nil, err
	}
	return &deadRow{
		num: integer(v[0]), lane: integer(v[1]), died: integer(v[10]), reason: text(v[11]),
		row: row{
			seq: integer(v[2]), generation: integer(v[3]), enqueued: v[4], notBefore: v[5], firstTried: v[6],
			attempt: integer(v[7]), orderKey: text(v[8]), headers: headers, urgent: integer(v[12]) != 0,
			format: integer(v[13]), body: text(v[14]),
		},
	}, nil
}

// choose reads the selected letters with numbers up to last, the earliest first.
func (q *Queue) choose(c *conn, s queue.Selection, last int64, limit int) (letters []*deadRow, err error) {
	where, args := "dead.num > ? AND dead.num <= ?", []any{s.After, last}
	if s.Lane != "" {
		l := q.find(s.Lane)
		if l == nil {
			return nil, nil
		}
		where, args = where+" AND lane = ?", append(args, l.num)
	}
	if !s.Since.IsZero() {
		where, args = where+" AND died >= ?", append(args, stamp(s.Since))
	}
	if s.IDs != nil {
		list, err := json.Marshal(s.IDs)
		if err != nil {
			return nil, err
		}
		where, args = where+" AND job IN (SELECT value FROM json_each(?))", append(args, string(list))
	}
	var bad error
	err = c.each(func(v []driverValue) bool {
		letter, err := readDeadRow(v)
		letters, bad = append(letters, letter), err
		return bad == nil
	}, `SELECT `+deadColumns+` FROM dead CROSS JOIN event ON event.seq = dead.seq WHERE `+where+` ORDER BY dead.num LIMIT ?`,
		append(args, int64(limit))...)
	return letters, errors.Join(err, bad)
}

// newest is the number of the latest dead letter.
func newest(c *conn) (int64, error) { return c.number("SELECT max(num) FROM dead") }

// DeadLetters implements queue.Inspector. A letter whose event cannot be read has none.
func (q *Queue) DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := -1 // none
	if s.Limit > 0 {
		limit = s.Limit
	}
	var found []*deadRow
	err := q.readers.inspect.read(ctx, func(c *conn) error {
		last, err := newest(c)
		if err == nil {
			found, err = q.choose(c, s, last, limit)
		}
		return err
	})
	if err != nil {
		return nil, storeError("read dead letters", err)
	}
	var letters []queue.DeadLetter
	for _, b := range found {
		j, _ := b.job(q.numbered(b.lane).name) // the reason says that it cannot be read
		letters = append(letters, queue.DeadLetter{Job: j, Seq: b.num, Died: time.Unix(0, b.died), Reason: b.reason})
	}
	return letters, nil
}

// Requeue implements queue.Inspector. Many letters are given back a thousand at a time: after an error those of the
// number returned are.
func (q *Queue) Requeue(ctx context.Context, s queue.Selection, generation int64) (int, error) {
	return q.takeDead(ctx, "requeue dead letters", s, func(t *tx, b *deadRow) error {
		r := b.row
		r.generation, r.attempt, r.enqueued, r.notBefore, r.firstTried = generation, 0, t.now, nil, nil
		seq, err := t.putEvent(b.body, 1)
		if err != nil {
			return err
		}
		if b.format != bodyFormat {
			if _, err := t.exec("UPDATE event SET format = ? WHERE seq = ?", b.format, seq); err != nil {
				return err
			}
		}
		r.seq = seq
		return t.put(q.numbered(b.lane), &r)
	})
}

// Discard implements queue.Inspector, as Requeue a thousand at a time.
func (q *Queue) Discard(ctx context.Context, s queue.Selection) (int, error) {
	return q.takeDead(ctx, "discard dead letters", s, func(*tx, *deadRow) error { return nil })
}

// takeDead removes the selected letters, those that die meanwhile not, after f was called with each.
func (q *Queue) takeDead(ctx context.Context, op string, s queue.Selection, f func(*tx, *deadRow) error) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var last int64
	if err := q.readers.inspect.read(ctx, func(c *conn) (err error) { last, err = newest(c); return err }); err != nil {
		return 0, storeError(op, err)
	}
	for {
		limit := q.volume.chunk()
		if s.Limit > 0 {
			limit = min(limit, s.Limit-n)
		}
		if limit == 0 {
			return n, nil
		}
		var letters []*deadRow
		after := s
		err := q.writer.write(ctx, op, func(t *tx) (err error) {
			letters, err = q.choose(t.conn, after, last, limit)
			for _, b := range letters {
				if err == nil {
					err = f(t, b)
				}
				if err == nil {
					err = t.removeDead(b.num, b.seq)
				}
			}
			return err
		})
		if err != nil || len(letters) == 0 {
			return n, err
		}
		n += len(letters)
		s.After = letters[len(letters)-1].num
	}
}

// removeDead removes a dead letter.
func (t *tx) removeDead(num, seq int64) error {
	_, err := t.exec("DELETE FROM dead WHERE num = ?", num)
	t.drop(seq)
	t.then = append(t.then, func() { t.queue.dead.Add(-1) })
	return err
}

// retain removes the dead letters that are too many or too old, and the records that have ended, some at a time.
func (q *Queue) retain(t *tx) error {
	most := int64(q.volume.chunk())
	tooMany := min(max(q.dead.Load()-int64(q.deadLimit), 0), most)
	oldest := int64(0)
	if q.deadAge > 0 {
		oldest = t.now - int64(q.deadAge)
	}
	var nums, seqs []int64
	err := t.each(func(v []driverValue) bool {
		if int64(len(nums)) >= tooMany && integer(v[2]) >= oldest {
			return false
		}
		nums, seqs = append(nums, integer(v[0])), append(seqs, integer(v[1]))
		return true
	}, "SELECT num, seq, died FROM dead ORDER BY num LIMIT ?", most)
	if err != nil {
		return err
	}
	for i := range nums {
		if err := t.removeDead(nums[i], seqs[i]); err != nil {
			return err
		}
	}
	ended, err := t.removeEnded(most)
	if err == nil {
		t.then = append(t.then, func() { q.writer.leftOver = ended == most || int64(len(nums)) == most })
	}
	return err
}
