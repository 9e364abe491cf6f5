package postgresqueue

import (
	"cmp"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// removeDone removes jobs of this process's lanes; the schema has it as a function.
const removeDone = `SELECT seq, num FROM tocsin.remove_done($1::bigint, $2::bigint[], $3::int[], $4::int[])`

// Settle implements durable.Tx.
func (t *tx) Settle(settlements []*durable.Settlement) (released []*durable.Job, err error) {
	owned := map[int32]bool{}
	nums := make([]int32, 0, len(settlements))
	for _, s := range settlements {
		if num := t.store.lane(s.Lane.Name); !slices.Contains(nums, num) {
			nums = append(nums, num)
		}
	}
	worker := &t.store.worker
	if owner, ok := t.held[nums[0]]; ok && len(nums) == 1 && owner == nil { // of a lane that is nobody's
		worker, owned[nums[0]] = nil, true
	}
	var done, again, dead settled
	for _, s := range settlements {
		switch {
		case s.RunsAgain():
			s.Due = durable.Now
			if s.Disposition.Delay > 0 {
				s.Due = later(t.now, s.Disposition.Delay)
			}
			again.add(t, s)
		case s.Disposition.Action == queue.Dead:
			dead.add(t, s)
		default:
			done.add(t, s)
		}
	}
	if len(done.seqs) < len(settlements) {
		t.next.rows(func(row pgx.Rows) error {
			var num int32
			err := row.Scan(&num)
			owned[num] = true
			return err
		}, fence, worker, nums)
	}
	if len(again.seqs) > 0 {
		t.next.add(postpone, worker, again.seqs, again.lanes, again.dues, again.counts, again.began, again.attempts)
	}
	if len(dead.seqs) > 0 {
		t.next.add(addDead, worker, dead.seqs, dead.lanes, dead.ends, dead.counts, dead.began, t.now, dead.ids, dead.reasons)
		t.next.add(`DELETE FROM tocsin.job j USING unnest($2::bigint[], $3::int[]) d(seq, lane)
			WHERE j.seq = d.seq AND j.lane = d.lane`+ours, worker, dead.seqs, dead.lanes)
	}
	if len(done.seqs) > 0 {
		var rest []int64
		t.next.rows(func(row pgx.Rows) error {
			var seq *int64
			var num *int32
			err := row.Scan(&seq, &num)
			if seq != nil {
				rest = append(rest, *seq)
			}
			if num != nil {
				owned[*num] = true
			}
			return err
		}, removeDone, worker, done.seqs, done.lanes, nums)
		t.then = append(t.then, func() { t.store.sweep = append(t.store.sweep, rest...) })
	}
	mark := func() {
		for _, s := range settlements {
			s.Lost = !owned[t.store.lane(s.Lane.Name)]
		}
	}
	keys := append(done.keys, dead.keys...)
	if len(keys) == 0 {
		t.then = append([]func(){mark}, t.then...)
		return nil, nil
	}
	released, err = t.release(worker, keys)
	mark()
	return released, err
}

const (
	// postpone has jobs of this process's lanes run again. Made again, as after a commit whose answer was lost, it
	// counts no attempt twice.
	postpone = `UPDATE tocsin.job j SET due = d.due, not_before = nullif(d.due, 0),
		attempt = greatest(j.attempt, d.attempt),
		first_tried = CASE d.counts WHEN 1 THEN coalesce(j.first_tried, d.began) ELSE j.first_tried END,
		name = CASE d.counts WHEN 1 THEN NULL ELSE j.name END
		FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::int[], $6::bigint[], $7::int[])
			d(seq, lane, due, counts, began, attempt)
		WHERE j.seq = d.seq AND j.lane = d.lane` + ours
	// addDead makes dead letters of jobs of this process's lanes.
	addDead = `INSERT INTO tocsin.dead (lane, job, seq, generation, enqueued, not_before, first_tried, attempt, order_key, headers,
		urgent, died, ends, reason) SELECT j.lane, d.id, j.seq, j.generation, j.enqueued, j.not_before,
		CASE d.counts WHEN 1 THEN coalesce(j.first_tried, d.began) ELSE j.first_tried END, j.attempt + d.counts, j.order_key, j.headers,
		j.urgent, $7, d.ends, d.reason
		FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::int[], $6::bigint[], $8::text[], $9::text[])
			WITH ORDINALITY d(seq, lane, ends, counts, began, id, reason, n)
		JOIN tocsin.job j ON j.seq = d.seq AND j.lane = d.lane WHERE true` + ours + `ORDER BY d.n`
)

// settled is settlements as arrays.
type settled struct {
	seqs, dues   []int64
	lanes        []int32
	counts       []int32
	attempts     []int32
	began, ends  []*int64
	ids, reasons []string
	keys         []laneKey
}

// laneKey is an order key of a lane.
type laneKey struct {
	lane int32
	key  string
}

func (a *settled) add(t *tx, s *durable.Settlement) {
	out, lane := s.Disposition, t.store.lane(s.Lane.Name)
	a.seqs, a.lanes = append(a.seqs, s.Job.Num), append(a.lanes, lane)
	if s.Job.OrderKey != "" {
		a.keys = append(a.keys, laneKey{lane, s.Job.OrderKey})
	}
	if out.Action == queue.Done {
		return
	}
	counts := int32(0)
	if out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero() {
		counts = 1
	}
	a.counts, a.began = append(a.counts, counts), append(a.began, stamp(out.Began))
	if out.Action == queue.Dead {
		ends := (*int64)(nil)
		if s.Age > 0 {
			at := later(t.now, s.Age)
			ends = &at
			t.then = append(t.then, func() { t.store.noteEnd(at) })
		}
		a.ends = append(a.ends, ends)
		a.ids, a.reasons = append(a.ids, s.ID), append(a.reasons, clean(out.Reason))
		return
	}
	a.dues, a.attempts = append(a.dues, s.Due), append(a.attempts, int32(min(s.Attempt, 1<<31-2))+counts)
}

// releaseKeys lets the first job of each order key go, unless another one of the key is on its way.
const releaseKeys = `UPDATE tocsin.job j SET due = CASE WHEN f.not_before > $4 THEN f.not_before ELSE 0 END
	FROM (SELECT n.* FROM unnest($2::int[], $3::bytea[]) k(lane, order_key)
		CROSS JOIN LATERAL (SELECT i.seq, i.lane, i.due, i.not_before, i.order_key FROM tocsin.job i
			WHERE i.lane = k.lane AND i.order_key = k.order_key ORDER BY i.seq LIMIT 1) n) f
	JOIN tocsin.event e ON e.seq = f.seq
	WHERE j.seq = f.seq AND j.lane = f.lane AND j.due = 9223372036854775807` + ours + `
		AND NOT EXISTS (SELECT FROM tocsin.job a WHERE a.lane = f.lane AND a.order_key = f.order_key AND a.due < 9223372036854775807)
	RETURNING ` + jobColumns

// release lets the next jobs of order keys go, whose previous ones are gone. It returns them in the order enqueued.
func (t *tx) release(worker *int64, keys []laneKey) (released []*durable.Job, err error) {
	slices.SortFunc(keys, func(a, b laneKey) int {
		if a.lane != b.lane {
			return int(a.lane) - int(b.lane)
		}
		return cmp.Compare(a.key, b.key)
	})
	keys = slices.Compact(keys)
	nums, texts := make([]int32, len(keys)), make([][]byte, len(keys))
	for i, k := range keys {
		nums[i], texts[i] = k.lane, []byte(k.key)
	}
	t.next.rows(func(row pgx.Rows) error {
		j, err := t.store.readJob(row)
		released = append(released, j)
		return err
	}, releaseKeys, worker, nums, texts, t.now)
	if err := t.flush(); err != nil {
		return nil, err
	}
	slices.SortFunc(released, func(a, b *durable.Job) int { return cmp.Compare(a.Ref.Num, b.Ref.Num) })
	return released, nil
}
