package postgresqueue

import (
	"context"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// balance chooses lanes to be handed over, when this process has more than its share, and takes what was left over.
func (s *store) balance(news *durable.News, _ []string) error {
	if time.Since(s.balanced) < s.options.beat() {
		return nil
	}
	s.balanced = time.Now()
	var free []int32
	for name := range s.told {
		if num := s.lane(name); s.owned[num] == "" && s.open[name] {
			free = append(free, num)
		}
	}
	counts, wanted := map[int64]int{}, map[int64]int{}
	b := s.db.batch()
	b.add("UPDATE tocsin.lane SET owner = NULL WHERE owner IS NOT NULL AND NOT EXISTS (SELECT FROM tocsin.worker w WHERE w.id = owner)")
	s.countOwned(b, counts)
	b.rows(func(row pgx.Rows) error {
		var worker int64
		var n int
		err := row.Scan(&worker, &n)
		wanted[worker] = n
		return err
	}, `SELECT k.id, (SELECT count(*) FROM tocsin.want w WHERE w.worker = k.id) FROM tocsin.worker k WHERE k.ends > clock_timestamp()`)
	if err := s.db.run(context.Background(), b); err != nil {
		return err
	}
	if len(free) > 0 {
		taken, err := s.take(free)
		if err == nil && len(taken) > 0 {
			err = s.gain(news, taken)
		}
		if err != nil {
			return err
		}
	}
	all, wishes := 0, 0
	for worker, n := range wanted {
		all, wishes = all+counts[worker], wishes+n
	}
	if wishes == 0 {
		return nil
	}
	// A share is in proportion to the lanes that a worker has open, which are the same in most of them.
	share := func(worker int64) int { return (all*wanted[worker] + wishes - 1) / wishes }
	maps.DeleteFunc(s.leaving, func(_ string, since time.Time) bool { return time.Since(since) >= durable.MostLeaving })
	over := counts[s.worker] - len(s.leaving) - share(s.worker)
	var poor []int64
	for worker := range wanted {
		if worker != s.worker && counts[worker] < share(worker) {
			poor = append(poor, worker)
		}
	}
	if over <= 0 || len(poor) == 0 {
		return nil
	}
	return s.choose(news, poor, min(max(over/4, 1), mostMoves))
}

// mostMoves is how many lanes a process hands over at a time.
const mostMoves = 32

// choose has lanes handed over that others want, whichever: one whose handlers take long may have been tried before.
func (s *store) choose(news *durable.News, poor []int64, n int) error {
	var already []int32
	for name := range s.leaving {
		already = append(already, s.lane(name))
	}
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var num int32
		err := row.Scan(&num)
		if name := s.owned[num]; name != "" {
			s.leaving[name] = time.Now()
			news.Leave = append(news.Leave, name)
		}
		return err
	}, `SELECT l.num FROM tocsin.lane l WHERE l.owner = $1 AND EXISTS (SELECT FROM tocsin.want w WHERE w.lane = l.num AND w.worker = ANY($2::bigint[]))
		AND l.num <> ALL(coalesce($3::int[], '{}')) ORDER BY random() LIMIT $4`, s.worker, poor, already, n)
	return s.db.run(context.Background(), b)
}
