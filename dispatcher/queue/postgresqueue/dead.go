package postgresqueue

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// deadLetter is a dead letter of the database. The Reason of one whose event cannot be read says so.
type deadLetter struct {
	queue.DeadLetter
	job *durable.Job // its Ref.Num is that of its event
}

// selected reads up to limit of the selected dead letters with numbers up to last, into all; 0 = no limit.
func (s *store) selected(b *batch, sel queue.Selection, last int64, limit int, lock string, all *[]deadLetter) {
	from, where, args := "tocsin.dead j", "j.num > $1 AND j.num <= $2", []any{sel.After, last}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(condition, len(args))
	}
	if sel.Lane != "" {
		add(" AND j.lane = $%d", s.lane(sel.Lane)) // 0 is no lane's
	}
	if sel.LanePrefix != "" {
		// By their lanes, whatever others have.
		args = append(args, sel.LanePrefix, prefixEnd(sel.LanePrefix))
		from = fmt.Sprintf(`(SELECT d.num FROM tocsin.lane p CROSS JOIN LATERAL (SELECT num FROM tocsin.dead WHERE lane = p.num OFFSET 0) d
			WHERE p.name >= $%d AND p.name < $%d ORDER BY d.num OFFSET 0) c JOIN tocsin.dead j ON j.num = c.num`, len(args)-1, len(args))
	}
	if !sel.Since.IsZero() {
		add(" AND j.died >= $%d", *stamp(sel.Since))
	}
	if sel.IDs != nil {
		add(" AND j.job = ANY($%d::text[])", sel.IDs)
	}
	if limit > 0 {
		add(" AND true ORDER BY j.num LIMIT $%d", limit)
	} else {
		where += " ORDER BY j.num"
	}
	b.rows(func(row pgx.Rows) error {
		var d deadLetter
		var died int64
		var num int32
		var lane string
		j, err := s.readJob(row, &num, &lane, &d.Seq, &died, &d.Reason)
		if err != nil {
			return err
		}
		s.setLane(num, lane)
		j.Lane = lane
		d.Job, d.job, d.At = j.Job, j, time.Unix(0, died)
		*all = append(*all, d)
		return nil
	}, `SELECT j.lane, j.seq, 0::bigint, j.generation, j.enqueued, j.not_before, j.first_tried, j.attempt, j.order_key, NULL::bytea, j.headers,
		j.urgent, e.format, e.body, l.num, l.name, j.num, j.died, j.reason
		FROM `+from+` JOIN tocsin.event e ON e.seq = j.seq JOIN tocsin.lane l ON l.num = j.lane WHERE `+where+lock, args...)
}

// prefixEnd comes after all names that begin so: names are UTF-8, which has no such byte, but a text has to be as well.
func prefixEnd(prefix string) string { return prefix + strings.Repeat(string(utf8.MaxRune), 8) }

// DeadLetters implements durable.Store.
func (s *store) DeadLetters(ctx context.Context, sel queue.Selection) (found []queue.DeadLetter, err error) {
	if err := s.lookUp(ctx, laneOf(sel)...); err != nil {
		return nil, err
	}
	var all []deadLetter
	b := s.db.batch()
	s.selected(b, sel, math.MaxInt64, max(sel.Limit, 0), "", &all)
	if err := s.db.read(ctx, b); err != nil {
		return nil, err
	}
	for _, d := range all {
		found = append(found, d.DeadLetter)
	}
	return found, nil
}

// laneOf is the lane that a selection names.
func laneOf(sel queue.Selection) []string {
	if sel.Lane == "" {
		return nil
	}
	return []string{sel.Lane}
}

// LastDead implements durable.Tx.
func (t *tx) LastDead() (num int64, err error) {
	t.next.add("SELECT coalesce(max(num), 0) FROM tocsin.dead").QueryRow(func(row pgx.Row) error { return row.Scan(&num) })
	return num, t.flush()
}

// TakeDead implements durable.Tx. Of two calls at the same time each dead letter is taken by one.
func (t *tx) TakeDead(sel queue.Selection, last int64, n int, generation *int64) (taken durable.TakenDead, err error) {
	if err := t.store.number(laneOf(sel), false); err != nil {
		return taken, err
	}
	var all []deadLetter
	t.store.selected(t.next, sel, last, n, " FOR UPDATE OF j", &all)
	if err := t.flush(); err != nil || len(all) == 0 {
		return taken, err
	}
	if t.block != nil && int(t.block.taken)+len(all) > blockSize {
		t.block = nil // the copies are to be in one
	}
	var nums, events []int64
	var copies []int32
	var keyed []bool
	for _, d := range all {
		nums, events = append(nums, d.Seq), append(events, d.job.Ref.Num)
		taken.Lanes, taken.Seq = append(taken.Lanes, d.Lane), d.Seq
		if generation == nil {
			continue
		}
		j := d.job
		j.Generation, j.Attempt, j.Enqueued = *generation, 0, time.Unix(0, t.now)
		j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
		at := t.takeNumber([]*durable.Job{j})
		copies, keyed = append(copies, at), append(keyed, j.OrderKey != "")
		t.rows.addJob(t, j, at)
		taken.Requeued = append(taken.Requeued, j)
	}
	if len(copies) > 0 {
		t.next.add(`INSERT INTO tocsin.event (seq, worker, keyed, jobs, format, body) SELECT `+base+` + c.at, $1, c.keyed, 1, e.format, e.body
			FROM unnest($2::bigint[], $3::int[], $4::bool[]) c(old, at, keyed) JOIN tocsin.event e ON e.seq = c.old`,
			t.store.worker, events, copies, keyed)
		t.insert()
	}
	t.next.add("DELETE FROM tocsin.dead WHERE num = ANY($1::bigint[])", nums)
	t.drop(events...)
	return taken, nil
}

// RemoveDead implements durable.Tx.
func (t *tx) RemoveDead(lane *durable.Lane, n int) (removed int, err error) {
	var events []int64
	t.next.rows(func(row pgx.Rows) error {
		var seq int64
		err := row.Scan(&seq)
		events = append(events, seq)
		return err
	}, `DELETE FROM tocsin.dead WHERE num IN (SELECT num FROM tocsin.dead WHERE lane = $1 ORDER BY num LIMIT $2 FOR UPDATE SKIP LOCKED)
		RETURNING seq`, t.store.lane(lane.Name), n)
	err = t.flush()
	t.drop(events...)
	return len(events), err
}
