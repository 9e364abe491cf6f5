package postgresqueue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// store is the durable.Shared in a database. The writer's goroutine uses it, but for what says otherwise.
type store struct {
	db      *database
	log     *slog.Logger
	clock   *clock
	options Options

	mu    sync.Mutex // guards names
	nums  map[string]int32
	names map[int32]string

	lease // what makes lanes this process's
	ownership
	feed     feed
	recent   recentEvents
	sweep    []int64   // events whose jobs the last transaction removed
	careful  int       // transactions that are to look ids up before they insert them
	failing  bool      // the last transaction failed
	cleaned  time.Time // when housekeeping was last done
	leftOver bool      // it did not get to the end
	ends     int64     // when the first dead letter has reached its age, as far as this process knows; 0 = none has one
	looked   int64     // number of the event at which the search for orphans has arrived

	serve   func(request) // does what another process asks for
	serving sync.WaitGroup
}

var _ durable.Shared = (*store)(nil)

// lane is the number of a lane; 0 = it has none that is known here. Any goroutine may call it.
func (s *store) lane(name string) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nums[name]
}

// name is the name of a lane that has a number here; "" = it has none.
func (s *store) name(num int32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[num]
}

func (s *store) setLane(num int32, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nums[name], s.names[num] = num, name
}

// addLanes makes sure that the lanes of new jobs have numbers.
func (s *store) addLanes(calls []*durable.Append) error {
	var names []string
	for _, a := range calls {
		for _, e := range a.Events {
			for i := range e.Jobs {
				names = append(names, e.Jobs[i].Lane)
			}
		}
	}
	return s.number(names, true)
}

// number learns the numbers of lanes, and gives those that have none one. That is a transaction of its own: others may
// store jobs in the lane at once.
func (s *store) number(names []string, add bool) error {
	names = s.unknown(names)
	if len(names) == 0 {
		return nil
	}
	b := s.db.batch()
	if add {
		b.add(`INSERT INTO tocsin.lane (name) SELECT n FROM unnest($1::text[]) n WHERE NOT EXISTS (SELECT FROM tocsin.lane l WHERE l.name = n)
			ON CONFLICT (name) DO NOTHING`, names)
	}
	s.readLanes(b, lanesByName, names)
	return s.db.run(context.Background(), b)
}

// lookUp learns the numbers of lanes for a caller who waits.
func (s *store) lookUp(ctx context.Context, names ...string) error {
	names = s.unknown(names)
	if len(names) == 0 {
		return nil
	}
	b := s.db.batch()
	s.readLanes(b, lanesByName, names)
	return s.db.read(ctx, b)
}

const lanesByName = "SELECT num, name FROM tocsin.lane WHERE name = ANY($1::text[])"

// unknown are those of names, each once, whose numbers are not known here.
func (s *store) unknown(names []string) []string {
	names = slices.DeleteFunc(names, func(name string) bool { return s.lane(name) != 0 })
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *store) readLanes(b *batch, text string, args ...any) {
	b.rows(func(row pgx.Rows) error {
		var num int32
		var name string
		err := row.Scan(&num, &name)
		if err == nil {
			s.setLane(num, name)
		}
		return err
	}, text, args...)
}

// Begin implements durable.Store.
func (s *store) Begin(now int64) (durable.Tx, error) {
	t, err := s.begin(now)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// readClock learns the server's time.
func (s *store) readClock(ctx context.Context) error {
	var server time.Time
	b := s.db.batch()
	b.add("SELECT clock_timestamp()").QueryRow(func(row pgx.Row) error { return row.Scan(&server) })
	sent := s.clock.elapsed()
	if err := s.db.read(ctx, b); err != nil {
		return err
	}
	s.clock.follow(server, sent, s.clock.elapsed())
	return nil
}

// Failed implements durable.Store.
func (s *store) Failed(err error) (again, all bool) {
	if isConflict(err) {
		s.careful = carefulFor
		return true, false
	}
	s.report(err)
	s.noteLost(err)
	return false, !errors.Is(problemOf(err), ErrOther)
}

// noteLost has lanes read anew if err is that the connection was lost: another server may answer now, and what was read
// before may never have been there.
func (s *store) noteLost(err error) {
	if errors.Is(problemOf(err), ErrConnection) {
		s.resync, s.recent = true, recentEvents{}
	}
}

// Error implements durable.Store.
func (s *store) Error(op string, err error) error { return storeError(op, err) }

// report logs when the database begins to fail and when it works again, not each time.
func (s *store) report(err error) {
	switch {
	case err != nil && !s.failing:
		s.log.Error("tocsin: the queue's database cannot be used; events are refused and outcomes wait",
			"error", storeError("write", err))
	case err == nil && s.failing:
		s.log.Info("tocsin: the queue's database can be used again")
	}
	s.failing = err != nil
}

// jobColumns are what readJob reads, of a job j and its event e.
const jobColumns = `j.lane, j.seq, j.due, j.generation, j.enqueued, j.not_before, j.first_tried, j.attempt, j.order_key, j.name, j.headers,
	j.urgent, e.format, e.body`

// readJob reads a job. One whose event cannot be read has none.
func (s *store) readJob(row pgx.Rows, more ...any) (*durable.Job, error) {
	var lane, attempt int32
	var key, name, headers, body []byte
	var enqueued, notBefore, tried *int64
	var format int16
	j := &durable.Job{Ref: new(lanes.Ref)}
	err := row.Scan(append([]any{
		&lane, &j.Ref.Num, &j.Ref.Due, &j.Generation, &enqueued, &notBefore, &tried, &attempt, &key, &name, &headers, &j.Urgent, &format, &body,
	}, more...)...)
	if err != nil {
		return nil, err
	}
	j.Lane, j.Attempt, j.OrderKey = s.name(lane), int(attempt), string(key)
	j.Enqueued, j.NotBefore, j.FirstTried = moment(enqueued), moment(notBefore), moment(tried)
	j.Ref.OrderKey, j.Ref.ScheduleKey = string(key), string(name)
	if j.Headers, err = stored.DecodeHeaders(headers); err != nil {
		return nil, err
	}
	if body == nil { // asked for without
		j.Event = s.recent.events[j.Ref.Num]
		return j, nil
	}
	if j.Event, err = readEvent(format, body); err != nil {
		j.Ref.Unreadable = "the stored event cannot be read: " + err.Error()
	}
	return j, nil
}

// loadBytes is about how many bytes of events one query of a load reads.
const loadBytes = 4 << 20

// loadJobs reads jobs of a lane that may start, in the order of their index, up to a number and about loadBytes. Jobs
// with an order key that the feed has not seen are left to it: another one of their key may have to go first. $7 are
// events that are not to be sent.
const (
	loadJobs = `SELECT j.lane, j.seq, j.due, j.generation, j.enqueued, j.not_before, j.first_tried, j.attempt, j.order_key, j.name,
		j.headers, j.urgent, j.format, j.body FROM (
		SELECT i.*, e.format, CASE WHEN i.seq = ANY($7::bigint[]) THEN NULL ELSE e.body END AS body,
			sum(octet_length(e.body)) OVER (ORDER BY i.due, i.seq ROWS UNBOUNDED PRECEDING) - octet_length(e.body) AS before
		FROM tocsin.job i JOIN tocsin.event e ON e.seq = i.seq WHERE i.lane = $1 AND i.seq <> ALL($2::bigint[])
			AND (i.order_key IS NULL OR pg_visible_in_snapshot(e.xid, $3::pg_snapshot)) AND `
	loadRest = ` ORDER BY i.due, i.seq LIMIT $4) j WHERE j.before < $5 ORDER BY j.due, j.seq`

	loadUrgent = loadJobs + `i.urgent AND i.order_key IS NULL AND i.due <= $6` + loadRest
	loadLate   = loadJobs + `i.due > 0 AND i.due <= $6` + loadRest
	loadNow    = loadJobs + `i.due = 0 AND i.seq > $6` + loadRest

	nextUrgent = `SELECT due FROM tocsin.job WHERE lane = $1 AND urgent AND order_key IS NULL AND due > $2 AND due < 9223372036854775807
		ORDER BY due, seq LIMIT 1`
	nextDue = `SELECT due FROM tocsin.job WHERE lane = $1 AND due > $2 AND due < 9223372036854775807 ORDER BY due, seq LIMIT 1`
)

// Load implements durable.Store.
func (s *store) Load(lane *durable.Lane, q durable.LoadQuery) (durable.Loaded, error) {
	loaded, err := s.load(lane, q)
	if err != nil {
		s.noteLost(err)
	}
	return loaded, err
}

func (s *store) load(lane *durable.Lane, q durable.LoadQuery) (loaded durable.Loaded, err error) {
	if s.empty[lane.Name] {
		delete(s.empty, lane.Name)
		return durable.Loaded{}, nil
	}
	num, held := s.lane(lane.Name), append([]int64{}, q.Nums()...) // not nil, which is NULL
	recent := s.recent.after(q.After, q.Room+1)
	b := s.db.batch()
	query := func(text string, limit int, bound int64) *[]*durable.Job {
		jobs := make([]*durable.Job, 0, limit)
		b.rows(func(row pgx.Rows) error {
			j, err := s.readJob(row)
			jobs = append(jobs, j)
			return err
		}, text, num, held, s.feed.snapshot, limit+1, int64(loadBytes), bound, recent)
		return &jobs
	}
	// One more than there is room for says whether there are more. One that has reached loadBytes may say no by
	// mistake: the last load finds none at all.
	next := func(text string) {
		b.rows(func(row pgx.Rows) error { return row.Scan(&loaded.Next) }, text, num, q.Now)
	}
	cut := func(jobs []*durable.Job, n int) ([]*durable.Job, bool) {
		return jobs[:min(n, len(jobs))], len(jobs) > n || sizeOf(jobs) >= loadBytes
	}
	urgent := query(loadUrgent, q.Urgent, q.Now)
	if q.Room == 0 {
		next(nextUrgent)
		if err := s.db.run(context.Background(), b); err != nil {
			return durable.Loaded{}, err
		}
		loaded.Jobs, loaded.Urgent = cut(*urgent, q.Urgent)
		loaded.More = true
		s.recent.add(loaded.Jobs)
		return loaded, nil
	}
	late := query(loadLate, q.Room, q.Now)
	now := query(loadNow, q.Room, q.After)
	next(nextDue)
	if err := s.db.run(context.Background(), b); err != nil {
		return durable.Loaded{}, err
	}
	loaded.Jobs, loaded.Urgent = cut(*urgent, q.Urgent)
	first, moreLate := cut(*late, (q.Room+1)/2)
	rest, moreNow := cut(*now, max(q.Room-len(first), (q.Room+1)/2))
	if n := len(rest); n > 0 {
		loaded.Cursor = rest[n-1].Ref.Num
	}
	loaded.Jobs = append(append(loaded.Jobs, first...), rest...)
	loaded.More = moreLate || moreNow
	s.recent.add(loaded.Jobs)
	return loaded, nil
}

func sizeOf(jobs []*durable.Job) (n int) {
	for _, j := range jobs {
		n += len(j.Event.JSON())
	}
	return n
}

// Due implements durable.Shared.
func (s *store) Due(ctx context.Context, lane string, until int64) (due bool, err error) {
	if err := s.lookUp(ctx, lane); err != nil {
		return false, err
	}
	b := s.db.batch()
	b.add("SELECT EXISTS (SELECT FROM tocsin.job WHERE lane = $1 AND due <= $2)", s.lane(lane), until).
		QueryRow(func(row pgx.Row) error { return row.Scan(&due) })
	return due, s.db.read(ctx, b)
}

// LastNum implements durable.Shared.
func (s *store) LastNum() (num int64, err error) {
	b := s.db.batch()
	b.add("SELECT last_value + $1 FROM tocsin.event_seq", int64(blockSize-1)).QueryRow(func(row pgx.Row) error { return row.Scan(&num) })
	return num, s.db.run(context.Background(), b)
}

// counts are the jobs of a lane in the database.
type counts struct{ total, later, dead int }

// countLane is what a lane has, and countLater counts the jobs of it that are due after a time.
const (
	countLane  = `SELECT coalesce(sum(jobs), 0)::bigint, coalesce(sum(dead), 0)::bigint FROM tocsin.tally WHERE lane = $1`
	countLater = `SELECT count(*) FROM tocsin.job WHERE lane = $1 AND due > $2 AND due < 9223372036854775807`
)

func (s *store) count(ctx context.Context, lane string) (c counts, err error) {
	if err := s.lookUp(ctx, lane); err != nil {
		return c, err
	}
	b := s.db.batch()
	b.add(countLane, s.lane(lane)).QueryRow(func(row pgx.Row) error { return row.Scan(&c.total, &c.dead) })
	b.add(countLater, s.lane(lane), s.clock.now()).QueryRow(func(row pgx.Row) error { return row.Scan(&c.later) })
	return c, s.db.read(ctx, b)
}

// Later implements durable.Store.
func (s *store) Later(ctx context.Context, lane string, _ int64) (int, error) {
	c, err := s.count(ctx, lane)
	return c.later, err
}

// listLanes lists the lanes that are open somewhere or hold something.
// Each is looked for by itself: EXISTS would be turned into reading the whole table once.
const listLanes = `SELECT name FROM tocsin.lane l WHERE (SELECT lane FROM tocsin.want WHERE lane = l.num LIMIT 1) IS NOT NULL
	OR (SELECT lane FROM tocsin.job WHERE lane = l.num LIMIT 1) IS NOT NULL
	OR (SELECT lane FROM tocsin.dead WHERE lane = l.num LIMIT 1) IS NOT NULL ORDER BY name`

// fullLanes lists the lanes that are not empty.
func (s *store) fullLanes(ctx context.Context) (names []string, err error) {
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var name string
		err := row.Scan(&name)
		names = append(names, name)
		return err
	}, listLanes)
	return names, s.db.read(ctx, b)
}

// clean makes a text one that the database takes.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// Housekeep implements durable.Store. Its failure is nobody's: it is tried again.
func (s *store) Housekeep(int64) (removed []string, again time.Duration) {
	every := cleanEvery
	if s.leftOver || s.ends != 0 && s.ends <= s.clock.now() {
		every = leftOverEvery
	}
	if time.Since(s.cleaned) < every {
		return nil, 0
	}
	s.cleaned = time.Now()
	if err := s.clean(); err != nil {
		s.noteLost(err)
		s.report(err)
	}
	return nil, 0
}

// noteEnd notes when a dead letter reaches its age.
func (s *store) noteEnd(at int64) {
	if s.ends == 0 || at < s.ends {
		s.ends = at
	}
}

// cleanEvery is how often what has outlived its time is looked for, and leftOverEvery while there is more of it than
// one transaction takes on. Dead letters are removed when their time comes, not more often than that either.
const (
	cleanEvery    = time.Minute
	leftOverEvery = time.Second
)
