package postgresqueue

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// ownership is which lanes are this process's. A lane that is open in some process belongs to one of those. Whoever
// gives lanes up, or finds that their owner is dead, gives each to the one of the others that has the fewest, so nobody
// competes for them; the new owner sees in its next feed that it has got some.
type ownership struct {
	wanting sync.Mutex
	changed map[string]bool // lanes that were opened or closed since the last poll

	open     map[string]bool      // lanes that are open here
	told     map[string]bool      // those of them that table want has
	owned    map[int32]string     // lanes that are this process's; changed with wanting
	moved    int64                // worker.moved when owned was read
	leaving  map[string]time.Time // lanes that are to be handed over, and since when
	empty    map[string]bool      // lanes that had no jobs when they became this process's: nothing to load yet
	resync   bool                 // the connection was lost: owned is to be read again, and so are the lanes
	reaped   time.Time            // when dead workers were last removed
	balanced time.Time            // when it was last looked at whether the lanes are shared evenly
}

func newOwnership() ownership {
	return ownership{
		open: map[string]bool{}, told: map[string]bool{}, owned: map[int32]string{},
		leaving: map[string]time.Time{}, empty: map[string]bool{},
	}
}

// isMine reports whether a lane is this process's. Any goroutine may call it.
func (s *store) isMine(lane string) bool {
	num := s.lane(lane)
	s.wanting.Lock()
	defer s.wanting.Unlock()
	return s.owned[num] != ""
}

// Want implements durable.Shared. Any goroutine may call it.
func (s *store) Want(lane string, open bool) {
	s.wanting.Lock()
	defer s.wanting.Unlock()
	if s.changed == nil {
		s.changed = map[string]bool{}
	}
	s.changed[lane] = open
}

// Poll implements durable.Shared.
func (s *store) Poll(_ int64, left []string) (news durable.News, err error) {
	s.wanting.Lock()
	changed := s.changed
	s.changed = nil
	s.wanting.Unlock()
	for name, open := range changed {
		if open {
			s.open[name] = true
		} else {
			delete(s.open, name)
		}
	}
	if s.over.Load() && s.worker != 0 {
		s.leave(&news)
	}
	s.Housekeep(0)
	news.Idle = len(s.open) == 0 && len(s.owned) == 0 && len(s.told) == 0
	if news.Idle {
		return news, nil
	}
	err = s.steps(&news, left,
		s.join, s.followFeed, s.giveUp, s.readOwned, s.acquire, s.reap, s.balance)
	return news, err
}

// steps are what a poll does, in this order, until the first that fails.
func (s *store) steps(news *durable.News, left []string, steps ...func(*durable.News, []string) error) error {
	for _, step := range steps {
		if err := step(news, left); err != nil {
			return err
		}
	}
	return nil
}

// lose says that lanes are no longer this process's.
func (s *store) lose(news *durable.News, nums ...int32) {
	for _, num := range nums {
		name := s.owned[num]
		s.wanting.Lock()
		delete(s.owned, num)
		s.wanting.Unlock()
		delete(s.leaving, name)
		delete(s.empty, name)
		news.Lost = append(news.Lost, name)
	}
}

// leave gives a lease up that has ended, and with it all lanes: another process may have taken them already.
func (s *store) leave(news *durable.News) {
	s.resign()
	s.interrupt() // also what was gained, and started jobs, since endLease did
	s.log.Warn("tocsin: the lease of the queue's lanes ended before it was renewed; they are taken again once the database answers",
		"lanes", len(s.owned))
	s.lose(news, slices.Collect(maps.Keys(s.owned))...)
	s.worker = 0
	clear(s.told)
}

// join registers this process once it has a lane open.
func (s *store) join(*durable.News, []string) error {
	if s.worker != 0 {
		return nil
	}
	if err := s.register(); err != nil {
		return err
	}
	s.moved, s.resync = 0, false
	return s.resetFeed()
}

// giveUp gives up the lanes that are closed here, and those of which nothing runs any more because they are to be
// handed over.
func (s *store) giveUp(news *durable.News, left []string) error {
	var lanes, closed []int32
	for name := range s.told {
		if s.open[name] {
			continue
		}
		closed = append(closed, s.lane(name))
		if num := s.lane(name); s.owned[num] != "" {
			lanes = append(lanes, num)
		}
	}
	for _, name := range left {
		if num := s.lane(name); s.owned[num] != "" && s.open[name] {
			lanes = append(lanes, num)
		}
	}
	if len(lanes)+len(closed) == 0 {
		return nil
	}
	err := s.db.within(context.Background(), func(send func(*batch) error) error {
		if err := s.lockOwners(send); err != nil {
			return err
		}
		if len(closed) > 0 {
			b := &batch{db: s.db}
			b.add("DELETE FROM tocsin.want WHERE worker = $1 AND lane = ANY($2::int[])", s.worker, closed)
			if err := send(b); err != nil {
				return err
			}
		}
		return s.assign(send, lanes, []int64{s.worker})
	})
	if err != nil {
		return err
	}
	for _, num := range closed {
		delete(s.told, s.name(num))
	}
	s.lose(news, lanes...)
	return nil
}

// lockOwners has one process at a time give lanes to others, until the transaction ends. So two that leave do not give
// their lanes to each other.
func (s *store) lockOwners(send func(*batch) error) error {
	b := &batch{db: s.db}
	b.add("SELECT pg_advisory_xact_lock(hashtext($1), 2)", "tocsin owners "+s.db.schema)
	return send(b)
}

// assign gives lanes of workers that give them up, or are dead, each to the one of those that have it open which has
// the fewest lanes. A lane that nobody else has open is nobody's then.
func (s *store) assign(send func(*batch) error, lanes []int32, from []int64) error {
	if len(lanes) == 0 {
		return nil
	}
	takers, counts := map[int32][]int64{}, map[int64]int{}
	b := &batch{db: s.db}
	b.rows(func(row pgx.Rows) error {
		var lane int32
		var worker int64
		err := row.Scan(&lane, &worker)
		takers[lane] = append(takers[lane], worker)
		return err
	}, `SELECT w.lane, w.worker FROM tocsin.want w JOIN tocsin.worker k ON k.id = w.worker
		WHERE w.lane = ANY($1::int[]) AND w.worker <> ALL($2::bigint[]) AND k.ends > clock_timestamp()`, lanes, from)
	s.countOwned(b, counts)
	if err := send(b); err != nil {
		return err
	}
	owners, unique := make([]int64, len(lanes)), map[int64]bool{}
	for i, lane := range lanes {
		for _, taker := range takers[lane] {
			if owners[i] == 0 || counts[taker] < counts[owners[i]] {
				owners[i] = taker
			}
		}
		if owners[i] != 0 {
			counts[owners[i]]++
			unique[owners[i]] = true
		}
	}
	b = &batch{db: s.db}
	// One that has died meanwhile is not among those that the UPDATE returns, and cannot die until the transaction
	// ends.
	b.add(`WITH k AS (UPDATE tocsin.worker SET moved = moved + 1 WHERE id = ANY($1::bigint[]) RETURNING id)
		UPDATE tocsin.lane l SET owner = (SELECT k.id FROM k WHERE k.id = a.owner)
		FROM unnest($2::int[], $3::bigint[]) a(num, owner) WHERE l.num = a.num AND l.owner = ANY($4::bigint[])`,
		slices.Sorted(maps.Keys(unique)), lanes, owners, from)
	return send(b)
}

// countOwned counts the lanes of each worker.
func (s *store) countOwned(b *batch, counts map[int64]int) {
	b.rows(func(row pgx.Rows) error {
		var worker int64
		var n int
		err := row.Scan(&worker, &n)
		counts[worker] = n
		return err
	}, "SELECT owner, count(*) FROM tocsin.lane WHERE owner IS NOT NULL GROUP BY owner")
}

// readOwned reads which lanes are this process's, when others have given it some or the connection was lost.
func (s *store) readOwned(news *durable.News, _ []string) error {
	moved := s.feed.moved
	if moved == s.moved && !s.resync {
		return nil
	}
	var nums []int32
	b := s.db.batch()
	s.readLanes(b, "SELECT num, name FROM tocsin.lane WHERE owner = $1", s.worker)
	b.rows(func(row pgx.Rows) error {
		var num int32
		err := row.Scan(&num)
		nums = append(nums, num)
		return err
	}, "SELECT num FROM tocsin.lane WHERE owner = $1", s.worker)
	if err := s.db.run(context.Background(), b); err != nil {
		return err
	}
	for num := range s.owned {
		if !slices.Contains(nums, num) {
			s.lose(news, num)
		}
	}
	if !s.resync {
		nums = slices.DeleteFunc(nums, func(num int32) bool { return s.owned[num] != "" })
	}
	if err := s.gain(news, nums); err != nil {
		return err
	}
	s.moved, s.resync = moved, false
	return nil
}

// acquire takes lanes that were opened here and are nobody's.
func (s *store) acquire(news *durable.News, _ []string) error {
	var names []string
	for name := range s.open {
		if !s.told[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := s.number(slices.Clone(names), true); err != nil {
		return err
	}
	nums := make([]int32, len(names))
	for i, name := range names {
		nums[i] = s.lane(name)
	}
	slices.Sort(nums)
	// First the wish is there to be seen, and then a lane is taken: so one that its owner gives up meanwhile is not
	// left.
	b := s.db.batch()
	b.add("INSERT INTO tocsin.want (lane, worker) SELECT num, $1 FROM unnest($2::int[]) num ON CONFLICT DO NOTHING", s.worker, nums)
	if err := s.db.run(context.Background(), b); err != nil {
		return err
	}
	for _, name := range names {
		s.told[name] = true
	}
	taken, err := s.take(nums)
	if err != nil {
		return err
	}
	return s.gain(news, taken)
}

// take makes lanes that are nobody's this process's, and says which.
func (s *store) take(nums []int32) (taken []int32, err error) {
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var num int32
		err := row.Scan(&num)
		taken = append(taken, num)
		return err
	}, `UPDATE tocsin.lane SET owner = $1 WHERE num IN (SELECT num FROM tocsin.lane WHERE num = ANY($2::int[]) AND owner IS NULL
		ORDER BY num FOR UPDATE) AND EXISTS (SELECT FROM tocsin.worker WHERE id = $1) RETURNING num`, s.worker, nums)
	return taken, s.db.run(context.Background(), b)
}

// gain makes lanes that are this process's ready to be read.
func (s *store) gain(news *durable.News, nums []int32) error {
	for _, num := range nums {
		s.wanting.Lock()
		s.owned[num] = s.name(num)
		s.wanting.Unlock()
	}
	if err := s.settleKeys(nums); err != nil {
		s.resync = true // they are tried again
		return err
	}
	if err := s.findEmpty(nums); err != nil {
		s.resync = true
		return err
	}
	for _, num := range nums {
		news.Gained = append(news.Gained, s.name(num))
	}
	return nil
}

// findEmpty finds out which of lanes that are this process's have no jobs. What others store from now on is in the
// feed. Most of very many lanes are empty, and reading each would keep those that are not waiting.
func (s *store) findEmpty(nums []int32) error {
	if len(nums) == 0 {
		return nil
	}
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var num int32
		err := row.Scan(&num)
		s.empty[s.name(num)] = true
		return err
	}, "SELECT n FROM unnest($1::int[]) n WHERE (SELECT lane FROM tocsin.job WHERE lane = n LIMIT 1) IS NULL", nums)
	return s.db.run(context.Background(), b)
}
