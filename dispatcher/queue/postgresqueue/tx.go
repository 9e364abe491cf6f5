package postgresqueue

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// tx is a transaction under way: the durable.Tx of the database. Statements are queued, and sent when a result is
// needed or the transaction ends, so that most group commits take one round trip.
type tx struct {
	store *store
	conn  *pgxpool.Conn
	now   int64
	begun bool     // something was sent
	next  *batch   // what is to be sent
	then  []func() // once it is committed

	block     *block                   // numbers of new events; nil = none was taken
	rows      newRows                  // that are to be inserted
	held      map[int32]*int64         // lanes that are this process's or nobody's until the end, and their owners
	scheduled map[laneKey]*durable.Job // jobs that were stored under schedule keys
}

var _ durable.SharedTx = (*tx)(nil)

func (s *store) begin(now int64) (*tx, error) {
	conn, err := s.db.acquire(context.Background())
	if err != nil {
		return nil, err
	}
	return &tx{store: s, conn: conn, now: now, next: &batch{db: s.db}}, nil
}

// flush sends what is queued, and reads the results.
func (t *tx) flush() error {
	b := t.next
	t.next = &batch{db: t.store.db}
	if !t.begun {
		t.begun = true
		b = t.store.db.opening().append(b)
	}
	return t.store.db.send(context.Background(), t.conn, b)
}

// mostSwept is how many events may wait for the feed to sweep them.
const mostSwept = 512

// Commit implements durable.Tx.
func (t *tx) Commit() error {
	if len(t.store.sweep) > mostSwept || t.store.worker == 0 {
		t.store.addSweep(t.next)
	}
	var err error
	switch {
	case t.begun:
		t.next.add("COMMIT")
		err = t.flush()
	case t.next.Len() > 0: // statements that are sent together are a transaction
		err = t.store.db.send(context.Background(), t.conn, t.store.db.batch().append(t.next))
	}
	if err != nil {
		return err
	}
	t.conn.Release()
	for _, f := range t.then {
		f()
	}
	t.store.careful = max(t.store.careful-1, 0)
	t.store.report(nil)
	return nil
}

// Rollback implements durable.Tx.
func (t *tx) Rollback() {
	if t.begun {
		b := &batch{db: t.store.db}
		b.add("ROLLBACK")
		_ = t.store.db.send(context.Background(), t.conn, b) // a broken connection is thrown away
	}
	t.conn.Release()
}

// sweepEvents deletes events to which no job and no dead letter refers any more. It is sent after the transaction in
// which their jobs were removed: of two processes that remove the last two jobs of an event at the same time, neither
// sees what the other does.
const sweepEvents = `DELETE FROM tocsin.event WHERE seq IN (SELECT e.seq FROM tocsin.event e WHERE e.seq = ANY($1::bigint[])
	AND NOT EXISTS (SELECT FROM tocsin.job j WHERE j.seq = e.seq) AND NOT EXISTS (SELECT FROM tocsin.dead d WHERE d.seq = e.seq)
	FOR UPDATE SKIP LOCKED)`

// addSweep adds the sweep of the events that wait for it, if there are any.
func (s *store) addSweep(b *batch) {
	if len(s.sweep) == 0 {
		return
	}
	slices.Sort(s.sweep)
	b.add(sweepEvents, slices.Compact(s.sweep))
	s.sweep = nil
}

// drop says that a job or dead letter less refers to an event.
func (t *tx) drop(seqs ...int64) {
	t.then = append(t.then, func() { t.store.sweep = append(t.store.sweep, seqs...) })
}

// fence names the lanes that are this process's, and keeps them so until the end of the transaction: who takes a lane
// over removes its owner first, and waits for the lock. It comes before everything that an owner writes.
const fence = `SELECT l.num FROM tocsin.worker w JOIN tocsin.lane l ON l.owner = w.id WHERE w.id = $1::bigint AND l.num = ANY($2::int[])
	FOR KEY SHARE OF w`

// ours restricts a statement to jobs of this process's lanes; $1 is the worker, or NULL for a lane that is nobody's and
// held; the jobs' table is j.
const ours = ` AND EXISTS (SELECT FROM tocsin.lane l WHERE l.num = j.lane AND l.owner IS NOT DISTINCT FROM $1::bigint) `

// Remove implements durable.Tx.
func (t *tx) Remove(lane *durable.Lane, jobs []*lanes.Ref) (released []*durable.Job, err error) {
	num := t.store.lane(lane.Name)
	seqs := make([]int64, len(jobs))
	var keys []laneKey
	for i, ref := range jobs {
		seqs[i] = ref.Num
		if ref.OrderKey != "" {
			keys = append(keys, laneKey{num, ref.OrderKey})
		}
	}
	t.next.add("DELETE FROM tocsin.job WHERE lane = $1 AND seq = ANY($2::bigint[])", num, seqs)
	t.drop(seqs...)
	if len(keys) == 0 {
		return nil, nil
	}
	worker := &t.store.worker
	if owner, ok := t.held[num]; ok {
		worker = owner
	}
	return t.release(worker, keys)
}

// hold makes sure that a lane is this process's until the end of the transaction, or nobody's. It reports false if it
// is another's.
func (t *tx) hold(lane int32) (ok bool, err error) {
	if _, ok := t.held[lane]; ok {
		return true, nil
	}
	var owner *int64
	t.next.add("SELECT owner FROM tocsin.lane WHERE num = $1 FOR UPDATE", lane).QueryRow(func(row pgx.Row) error { return row.Scan(&owner) })
	if err := t.flush(); err != nil {
		return false, err
	}
	if owner != nil && *owner != t.store.worker {
		return false, nil
	}
	if t.held == nil {
		t.held = map[int32]*int64{}
	}
	t.held[lane] = owner
	return true, nil
}

// errElsewhere refuses what only the owner of a lane can do.
var errElsewhere = errors.New("postgresqueue: the lane belongs to another process")

// Scheduled implements durable.Tx. When the lane is another's and a job was stored under the key, the owner is asked to
// cancel those before: the caller need not wait for it.
func (t *tx) Scheduled(lane *durable.Lane, key string) (all []*lanes.Ref, err error) {
	num := t.store.lane(lane.Name)
	instead := t.scheduled[laneKey{num, key}]
	switch ok, err := t.hold(num); {
	case err != nil:
		return nil, err
	case !ok && instead == nil:
		return nil, durable.Refuse(errElsewhere)
	case !ok:
		t.next.add(`INSERT INTO tocsin.request (lane, key, below, waits) SELECT $1, $2, $3, false
			WHERE EXISTS (SELECT FROM tocsin.job WHERE lane = $1 AND name = $2 AND seq < $3)`, num, []byte(key), instead.Ref.Num)
		return nil, nil
	}
	return t.refs(`SELECT seq, due, order_key FROM tocsin.job WHERE lane = $1 AND name = $2`, num, []byte(key))
}

// Waiting implements durable.Tx. The youngest come first.
func (t *tx) Waiting(lane *durable.Lane, last int64, n int, skip func(num int64) bool) (all []*lanes.Ref, err error) {
	num := t.store.lane(lane.Name)
	switch ok, err := t.hold(num); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, durable.Refuse(errElsewhere)
	}
	// Those to skip run; there are few.
	for limit := n; ; limit *= 2 {
		found, err := t.refs(`SELECT seq, due, order_key FROM tocsin.job WHERE lane = $1 AND seq <= $2 ORDER BY due DESC, seq DESC LIMIT $3`,
			num, last, limit)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(slices.Clone(found), func(ref *lanes.Ref) bool { return skip(ref.Num) })
		if len(all) > 0 || len(found) < limit {
			return all[:min(n, len(all))], nil
		}
	}
}

func (t *tx) refs(text string, args ...any) (all []*lanes.Ref, err error) {
	t.next.rows(func(row pgx.Rows) error {
		ref := new(lanes.Ref)
		var key []byte
		err := row.Scan(&ref.Num, &ref.Due, &key)
		ref.OrderKey = string(key)
		all = append(all, ref)
		return err
	}, text, args...)
	return all, t.flush()
}

// ClearScheduleKey implements durable.Tx.
func (t *tx) ClearScheduleKey(lane *durable.Lane, job *lanes.Ref) error {
	t.next.add(`UPDATE tocsin.job j SET name = NULL WHERE j.lane = $2 AND j.seq = $3`+ours, t.store.worker, t.store.lane(lane.Name), job.Num)
	return nil
}

// Follow implements durable.Tx and changes nothing: times are the server's.
func (*tx) Follow(int64, int64, int64, func(string, int64) bool) error { return nil }

// Recount implements durable.SharedTx.
func (t *tx) Recount(all []*durable.Lane) error {
	byNum, nums := map[int32]*durable.Lane{}, make([]int32, 0, len(all))
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = l.Name
	}
	if err := t.store.number(names, false); err != nil {
		return err
	}
	for _, l := range all {
		if num := t.store.lane(l.Name); num != 0 {
			byNum[num], nums = l, append(nums, num)
		}
	}
	t.next.rows(func(row pgx.Rows) error {
		var num int32
		var jobs, dead int
		err := row.Scan(&num, &jobs, &dead)
		if l := byNum[num]; err == nil {
			l.Recount(jobs, dead)
		}
		return err
	}, `SELECT n, coalesce(sum(jobs), 0)::bigint, coalesce(sum(dead), 0)::bigint FROM unnest($1::int[]) n LEFT JOIN tocsin.tally ON lane = n
		GROUP BY n`, nums)
	return t.flush()
}

// Elsewhere implements durable.SharedTx.
func (t *tx) Elsewhere(lane *durable.Lane) (bool, error) {
	num := t.store.lane(lane.Name)
	if num == 0 {
		return false, nil
	}
	ok, err := t.hold(num)
	return !ok, err
}

// Oldest implements durable.Tx.
func (t *tx) Oldest(lane *durable.Lane, after int64, n int) (all []*durable.Job, err error) {
	t.insert()
	t.next.rows(func(row pgx.Rows) error {
		j, err := t.store.readJob(row)
		all = append(all, j)
		return err
	}, `SELECT `+jobColumns+` FROM tocsin.job j JOIN tocsin.event e ON e.seq = j.seq WHERE j.lane = $1 AND j.seq > $2 ORDER BY j.seq LIMIT $3`,
		t.store.lane(lane.Name), after, n)
	return all, t.flush()
}

// Forget implements durable.Tx and changes nothing: other processes may store jobs in the lane at any time.
func (*tx) Forget([]*durable.Lane) error { return nil }
