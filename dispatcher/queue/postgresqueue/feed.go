package postgresqueue

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// feed is how an owner learns of jobs that others stored in its lanes: rows carry the transaction that wrote them, and
// what was not visible in the last snapshot and is now is new. So a transaction that commits late is found without
// reading anything twice, and an idle queue costs a look at the end of an index, however many lanes it has.
//
// Jobs with an order key, also those that this process stored, start only after the feed has seen them: then it has
// seen the earlier ones of their key too.
type feed struct {
	snapshot  string
	moved     int64     // worker.moved
	dead      bool      // a worker's lease has ended
	answering answering // those that are being done
}

// cutSnapshot cuts the text of a snapshot, xmin:xmax:xip, into what newer rows are found by.
func cutSnapshot(snapshot string) (xmax string, xip []string) {
	parts := strings.SplitN(snapshot, ":", 3)
	if len(parts) != 3 {
		return "0", []string{}
	}
	if parts[2] == "" {
		return parts[1], []string{} // not nil, which is NULL
	}
	return parts[1], strings.Split(parts[2], ",")
}

// lookFeed reads the present snapshot, and whether anything is new in it that this worker has not handed over itself.
// It is all that an idle process asks for, but for its beats.
const lookFeed = `SELECT pg_current_snapshot()::text, (SELECT moved FROM tocsin.worker WHERE id = $1),
	EXISTS (SELECT FROM tocsin.worker WHERE ends < clock_timestamp()),
	EXISTS (SELECT FROM tocsin.request WHERE answer IS NULL), EXISTS (SELECT FROM (` + newEvents + `) e)`

const newEvents = `SELECT seq, worker FROM tocsin.event WHERE xid >= $2::xid8 AND (worker <> $1 OR keyed)
	UNION ALL SELECT seq, worker FROM tocsin.event WHERE xid = ANY($3::xid8[]) AND (worker <> $1 OR keyed)`

// readFeed reads what is new in the lanes of this worker: by lane and order key, the least number of a job that may
// start at once, when the first of the others is due, and how many of the key are on their way. OFFSET 0 has it read in
// this order: new events, their jobs, their lanes.
const readFeed = `SELECT s.snapshot, f.lane, f.order_key, coalesce(f.num, 0), coalesce(f.next, 0), f.seqs,
		(SELECT count(*) FROM tocsin.job a WHERE a.lane = f.lane AND a.order_key = f.order_key AND a.due < 9223372036854775807)
	FROM (SELECT pg_current_snapshot()::text AS snapshot) s
	LEFT JOIN (SELECT j.lane, j.order_key, min(j.seq) FILTER (WHERE j.due = 0) AS num,
			min(j.due) FILTER (WHERE j.due > 0 AND j.due < 9223372036854775807) AS next,
			array_agg(j.seq) FILTER (WHERE j.order_key IS NOT NULL) AS seqs
		FROM (` + newEvents + `) e
		CROSS JOIN LATERAL (SELECT * FROM tocsin.job i WHERE i.seq = e.seq AND (e.worker <> $1 OR i.order_key IS NOT NULL) OFFSET 0) j
		CROSS JOIN LATERAL (SELECT owner FROM tocsin.lane WHERE num = j.lane OFFSET 0) l
		WHERE l.owner = $1 GROUP BY j.lane, j.order_key) f ON true`

// resetFeed begins the feed anew: lanes are to be read from the start after it.
func (s *store) resetFeed() error {
	b := s.db.batch()
	b.add("SELECT pg_current_snapshot()::text, moved FROM tocsin.worker WHERE id = $1", s.worker).
		QueryRow(func(row pgx.Row) error { return row.Scan(&s.feed.snapshot, &s.feed.moved) })
	return s.db.run(context.Background(), b)
}

// newKey is an order key that has new jobs.
type newKey struct {
	laneKey
	seqs []int64
}

// followFeed reads the feed.
func (s *store) followFeed(news *durable.News, _ []string) error {
	if s.resync { // what was read before may never have been, on the server that answers now
		if err := s.resetFeed(); err != nil {
			return s.ended(err)
		}
	}
	xmax, xip := cutSnapshot(s.feed.snapshot)
	b := s.db.batch()
	var snapshot string
	var moved *int64
	var asked, isNew bool
	b.add(lookFeed, s.worker, xmax, xip).QueryRow(func(row pgx.Row) error { return row.Scan(&snapshot, &moved, &s.feed.dead, &asked, &isNew) })
	s.addSweep(b)
	err := s.db.run(context.Background(), b)
	if err == nil && moved == nil {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return s.ended(err)
	}
	s.feed.moved = *moved
	if isNew {
		snapshot, err = s.readNew(news, xmax, xip)
	}
	if err != nil {
		return err
	}
	s.feed.snapshot = snapshot
	if asked {
		return s.readRequests()
	}
	return nil
}

// readNew reads what is new since a snapshot, and returns the present one.
func (s *store) readNew(news *durable.News, xmax string, xip []string) (snapshot string, err error) {
	jobs := map[int32]durable.NewJobs{}
	var several, none []newKey
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var lane *int32
		var key []byte
		var num, next int64
		var seqs []int64
		var active int
		if err := row.Scan(&snapshot, &lane, &key, &num, &next, &seqs, &active); err != nil || lane == nil {
			return err
		}
		merge(jobs, *lane, num, next)
		switch k := (newKey{laneKey{*lane, string(key)}, seqs}); {
		case key == nil:
		case active > 1:
			several = append(several, k)
		case active == 0:
			none = append(none, k)
		}
		return nil
	}, readFeed, s.worker, xmax, xip)
	if err := s.db.run(context.Background(), b); err != nil {
		return "", err
	}
	if len(several)+len(none) > 0 {
		if err := s.repairKeys(several, none, jobs); err != nil {
			return "", err
		}
	}
	for lane, n := range jobs {
		n.Lane = s.name(lane)
		delete(s.empty, n.Lane)
		news.Jobs = append(news.Jobs, n)
	}
	return snapshot, nil
}

// ended notes that this worker is not there any more, if that is what err says.
func (s *store) ended(err error) error {
	if isGone(err) {
		s.endLease()
	}
	return err
}

// merge adds what is new in a lane.
func merge(jobs map[int32]durable.NewJobs, lane int32, num, next int64) {
	n := jobs[lane]
	if num != 0 && (n.Num == 0 || num < n.Num) {
		n.Num = num
	}
	if next != 0 && (n.Next == 0 || next < n.Next) {
		n.Next = next
	}
	jobs[lane] = n
}

// Of each order key one job is on its way, and the others are held back. Two processes that store jobs of a key at the
// same time do not see each other's, and one that stores a job does not see that the one before it is being removed. So
// there may be several on their way, of which the new ones are held back, or none, so that the first is let go.
const (
	holdKeys = `UPDATE tocsin.job j SET due = 9223372036854775807 FROM (
		SELECT a.lane, a.seq, row_number() OVER (PARTITION BY a.lane, a.order_key ORDER BY a.seq = ANY($4::bigint[]), a.seq) AS n
		FROM unnest($2::int[], $3::bytea[]) k(lane, order_key)
		JOIN tocsin.job a ON a.lane = k.lane AND a.order_key = k.order_key AND a.due < 9223372036854775807) d
		WHERE d.n > 1 AND j.seq = d.seq AND j.lane = d.lane` + ours
	letKeysGo = `UPDATE tocsin.job j SET due = CASE WHEN f.not_before > $4 THEN f.not_before ELSE 0 END
		FROM (SELECT n.* FROM unnest($2::int[], $3::bytea[]) k(lane, order_key)
			CROSS JOIN LATERAL (SELECT i.seq, i.lane, i.not_before, i.order_key FROM tocsin.job i
				WHERE i.lane = k.lane AND i.order_key = k.order_key ORDER BY i.seq LIMIT 1) n) f
		WHERE j.seq = f.seq AND j.lane = f.lane AND j.due = 9223372036854775807` + ours + `
			AND NOT EXISTS (SELECT FROM tocsin.job a WHERE a.lane = f.lane AND a.order_key = f.order_key AND a.due < 9223372036854775807)
		RETURNING j.lane, j.seq, j.due`
)

// repairKeys sees to it that one job of each of these keys is on its way.
func (s *store) repairKeys(several, none []newKey, jobs map[int32]durable.NewJobs) error {
	return s.db.within(context.Background(), func(send func(*batch) error) error {
		b := &batch{db: s.db}
		lanes, _, _ := keyArrays(append(slices.Clone(several), none...))
		b.add(fence, s.worker, lanes)
		if len(several) > 0 {
			lanes, keys, seqs := keyArrays(several)
			b.add(holdKeys, s.worker, lanes, keys, seqs)
		}
		if len(none) > 0 {
			lanes, keys, _ := keyArrays(none)
			b.rows(func(row pgx.Rows) error {
				var lane int32
				var seq, due int64
				err := row.Scan(&lane, &seq, &due)
				if due == durable.Now {
					merge(jobs, lane, seq, 0)
				} else {
					merge(jobs, lane, 0, due)
				}
				return err
			}, letKeysGo, s.worker, lanes, keys, s.clock.now())
		}
		return send(b)
	})
}

func keyArrays(all []newKey) (lanes []int32, keys [][]byte, seqs []int64) {
	for _, k := range all {
		lanes, keys, seqs = append(lanes, k.lane), append(keys, []byte(k.key)), append(seqs, k.seqs...)
	}
	return lanes, keys, seqs
}

// settleKeys does for lanes that are read from the start what repairKeys does for new jobs. It looks at each order key
// that has more than one job, once.
func (s *store) settleKeys(nums []int32) error {
	if len(nums) == 0 {
		return nil
	}
	return s.db.within(context.Background(), func(send func(*batch) error) error {
		b := &batch{db: s.db}
		b.add(fence, s.worker, nums)
		b.add(`UPDATE tocsin.job j SET due = 9223372036854775807 FROM (
			SELECT a.lane, a.seq, row_number() OVER (PARTITION BY a.lane, a.order_key ORDER BY a.seq) AS n
			FROM tocsin.job a WHERE a.lane = ANY($2::int[]) AND a.order_key IS NOT NULL AND a.due < 9223372036854775807) d
			WHERE d.n > 1 AND j.seq = d.seq AND j.lane = d.lane`+ours, s.worker, nums)
		b.add(`WITH RECURSIVE key AS (
				(SELECT l.lane, f.order_key FROM unnest($2::int[]) l(lane) CROSS JOIN LATERAL (SELECT order_key FROM tocsin.job i
					WHERE i.lane = l.lane AND i.order_key IS NOT NULL ORDER BY i.order_key LIMIT 1) f)
				UNION ALL
				SELECT k.lane, f.order_key FROM key k CROSS JOIN LATERAL (SELECT order_key FROM tocsin.job i
					WHERE i.lane = k.lane AND i.order_key > k.order_key ORDER BY i.order_key LIMIT 1) f)
			UPDATE tocsin.job j SET due = CASE WHEN f.not_before > $3 THEN f.not_before ELSE 0 END
			FROM (SELECT n.* FROM key k CROSS JOIN LATERAL (SELECT i.seq, i.lane, i.not_before, i.due, i.order_key FROM tocsin.job i
				WHERE i.lane = k.lane AND i.order_key = k.order_key ORDER BY i.seq LIMIT 1) n) f
			WHERE j.seq = f.seq AND j.lane = f.lane AND f.due = 9223372036854775807`+ours+`
				AND NOT EXISTS (SELECT FROM tocsin.job a WHERE a.lane = f.lane AND a.order_key = f.order_key AND a.due < 9223372036854775807)`,
			s.worker, nums, s.clock.now())
		return send(b)
	})
}
