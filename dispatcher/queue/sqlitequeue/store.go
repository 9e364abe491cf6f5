package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// store is the durable.Store in a file.
type store struct {
	path string
	log  *slog.Logger

	volume  volume
	owner   *owner
	conn    *conn // the writing one
	readers *readers

	known known
	seq   int64 // of the latest event
	ends  int64 // when the first dead letter has reached its age; 0 = none has one

	failing    bool      // the last transaction failed
	noRoom     bool      // the last new events were refused
	moved      error     // the file is no longer where it was: nothing is written any more
	cleaned    time.Time // when housekeeping was last done
	leftOver   bool      // it did not get to the end
	longReader time.Time // when the log could not be emptied, because somebody read from it
}

var _ durable.Store = (*store)(nil)

// restore reads what is kept in memory, and counts what each lane holds.
func (s *store) restore(ctx context.Context) (all []durable.StoredLane, err error) {
	s.cleaned = time.Now()
	empty := false
	err = s.readers.inspect.read(ctx, func(c *conn) error {
		err := c.each(func(row []driverValue) bool {
			l := durable.StoredLane{Name: text(row[1]), Num: integer(row[0]), Jobs: int(integer(row[2])), Dead: int(integer(row[3]))}
			if l.Jobs > 0 || l.Dead > 0 {
				all = append(all, l)
			} else {
				empty = true
			}
			return true
		}, "SELECT num, name, (SELECT count(*) FROM job WHERE lane = num), (SELECT count(*) FROM dead WHERE lane = lane.num) FROM lane")
		if err != nil {
			return err
		}
		if s.seq, err = c.number("SELECT max(seq) FROM event"); err != nil {
			return err
		}
		if s.ends, err = c.number(firstEnd); err != nil {
			return err
		}
		return s.known.load(c)
	})
	if err == nil && empty { // the process ended before they were forgotten
		_, err = s.conn.exec(`DELETE FROM lane WHERE NOT EXISTS (SELECT 1 FROM job WHERE lane = lane.num)
			AND NOT EXISTS (SELECT 1 FROM dead WHERE lane = lane.num)`)
		if code(err)&primary == sqlite3.SQLITE_FULL {
			err = nil
		}
	}
	return all, err
}

// firstEnd is when the first dead letter has reached its age.
const firstEnd = "SELECT min(ends) FROM dead WHERE ends IS NOT NULL"

// Begin implements durable.Store.
func (s *store) Begin(now int64) (durable.Tx, error) {
	t, err := s.begin(now)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (s *store) begin(now int64) (*tx, error) {
	if s.moved != nil {
		return nil, s.moved
	}
	if _, err := s.conn.exec("BEGIN IMMEDIATE"); err != nil {
		return nil, &beginError{err}
	}
	return &tx{conn: s.conn, store: s, now: now}, nil
}

// beginError is the error of a transaction that did not even begin.
type beginError struct{ error }

func (e *beginError) Unwrap() error { return e.error }

// Failed implements durable.Store.
func (s *store) Failed(err error) (again, all bool) {
	s.report(err)
	if code(err)&primary == sqlite3.SQLITE_FULL {
		s.emptyLog()
		again = true
	}
	_, began := errors.AsType[*beginError](err)
	problem := problemOf(err)
	return again, began || errors.Is(problem, ErrMoved) || errors.Is(problem, ErrReadOnly) || errors.Is(problem, ErrBusy)
}

// Error implements durable.Store.
func (s *store) Error(op string, err error) error { return storeError(op, err) }

// report logs when the file begins to fail and when it works again, not each time.
func (s *store) report(err error) {
	switch {
	case err != nil && !s.failing:
		s.log.Error("tocsin: the queue's file cannot be written; events are refused and outcomes wait",
			"error", storeError("write", err))
	case err == nil && s.failing:
		s.log.Info("tocsin: the queue's file can be written again")
	}
	s.failing = err != nil
}

// reportRoom logs when new events begin to be refused, and when there is room for more than a few again: small ones may
// fit where large ones do not.
func (s *store) reportRoom(spare int64) {
	switch {
	case spare < 0 && !s.noRoom:
		s.noRoom = true
		s.log.Error("tocsin: the disk of the queue's file is nearly full; events are refused, outcomes are still stored",
			"error", storeError("write", errNoRoom))
	case spare >= s.volume.reserve()/2 && s.noRoom:
		s.noRoom = false
		s.log.Info("tocsin: the queue's file can be written again")
	}
}

// logPatience is how long emptying the log waits for those who read from it.
const logPatience = 100 * time.Millisecond

// shortenLog empties the log when it has become too long. Usually SQLite begins it anew by itself; it cannot as long as
// each reader begins before the one before has ended.
func (s *store) shortenLog() {
	if s.owner.logSize() <= s.volume.logBytes() || time.Since(s.longReader) < time.Second {
		return
	}
	s.emptyLog()
	if sizeOf(s.path+"-wal") > s.volume.logBytes() {
		s.longReader = time.Now()
	}
}

// emptyLog moves the log into the file and cuts it, unless somebody reads for long. A failure changes nothing.
func (s *store) emptyLog() {
	_ = s.conn.script(fmt.Sprintf("PRAGMA busy_timeout = %d; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = %d",
		logPatience.Milliseconds(), busyTimeout.Milliseconds()))
}

// cleanEvery is how often what has outlived its time is looked for, and leftOverEvery while there is more of it than
// one transaction takes on. Dead letters are removed when their time comes, not more often than that either.
const (
	cleanEvery    = time.Minute
	leftOverEvery = time.Second
)

// Housekeep implements durable.Store. Its failure is nobody's: it is tried again.
func (s *store) Housekeep(now int64) (removed []string, again time.Duration) {
	defer s.shortenLog()
	aged := s.ends != 0 && s.ends <= now
	every := cleanEvery
	if s.leftOver || aged {
		every = leftOverEvery
	}
	if wait := every - time.Since(s.cleaned); wait <= 0 {
		s.cleaned = time.Now()
		removed = s.clean(now)
	} else if aged {
		return nil, wait
	}
	if s.ends == 0 {
		return removed, 0
	}
	return removed, max(time.Duration(s.ends-now), leftOverEvery)
}

// clean removes what has outlived its time, some of it.
func (s *store) clean(now int64) (removed []string) {
	t, err := s.begin(now)
	if err == nil {
		if removed, err = t.retain(); err == nil {
			err = t.Commit()
		}
		if err != nil {
			t.Rollback()
		}
	}
	s.report(err)
	if err != nil {
		return nil
	}
	return removed
}

// loadBytes is how many bytes of events one load reads, and little more.
const loadBytes = 4 << 20

// Load implements durable.Store.
func (s *store) Load(lane *durable.Lane, q durable.LoadQuery) (loaded durable.Loaded, err error) {
	num := lane.Num
	err = s.readers.loads.read(context.Background(), func(c *conn) error {
		loaded = durable.Loaded{}
		l := loading{conn: c, lane: lane.Name, num: num, held: q.Held}
		first, allFirst, err := l.read(byUrgency, q.Urgent, "urgent = 1 AND order_key IS NULL AND due <= ? ORDER BY due, job.seq", q.Now)
		if err != nil {
			return err
		}
		loaded.Jobs, loaded.Urgent = first, !allFirst
		if q.Room == 0 {
			loaded.More = true
			loaded.Next, err = c.number(`SELECT due FROM `+byUrgency+` WHERE lane = ? AND urgent = 1 AND order_key IS NULL AND due > ? AND due < ?
				ORDER BY due LIMIT 1`, num, q.Now, durable.HeldBack)
			return err
		}
		late, allLate, err := l.read("job", (q.Room+1)/2, "due > 0 AND due <= ? ORDER BY due, job.seq", q.Now)
		if err != nil {
			return err
		}
		now, allNow, err := l.read("job", max(q.Room-len(late), (q.Room+1)/2), "due = 0 AND job.seq > ? ORDER BY job.seq", q.After)
		if err != nil {
			return err
		}
		if n := len(now); n > 0 {
			loaded.Cursor = now[n-1].Ref.Num
		}
		loaded.Jobs = append(append(loaded.Jobs, late...), now...)
		loaded.More = !allLate || !allNow
		loaded.Next, err = c.number("SELECT due FROM job WHERE lane = ? AND due > ? AND due < ? ORDER BY due LIMIT 1",
			num, q.Now, durable.HeldBack)
		return err
	})
	return loaded, err
}

// loading is a load of a lane.
type loading struct {
	*conn
	lane string
	num  int64
	held func(num int64) bool
}

// read reads up to limit jobs that are not held, and reports whether it came to the end of them.
func (l loading) read(table string, limit int, where string, bound int64) (jobs []*durable.Job, all bool, err error) {
	var bad error
	size := 0
	all = true
	err = l.each(func(v []driverValue) bool {
		if l.held(integer(v[0])) {
			return true
		}
		if len(jobs) >= limit || size >= loadBytes {
			all = false
			return false
		}
		j, err := readJob(v, l.lane)
		jobs, bad = append(jobs, j), err
		size += len(text(v[12]))
		return bad == nil
	}, jobColumns+table+withEvent+`WHERE lane = ? AND `+where, l.num, bound)
	return jobs, all, errors.Join(err, bad)
}

// What reads jobs for readJob, and by which index: SQLite does not know how few jobs are urgent or have a key, and
// would read all of a lane to find them.
const (
	jobColumns = `SELECT job.seq, due, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers, urgent,
		format, body FROM `
	withEvent = ` CROSS JOIN event ON event.seq = job.seq `
	byUrgency = "job INDEXED BY job_urgent"
	byOrder   = "job INDEXED BY job_order"
	byName    = "job INDEXED BY job_name"
	byLater   = "job INDEXED BY job_later"
)

// readJob reads a job. One whose event cannot be read has none.
func readJob(v []driverValue, lane string) (*durable.Job, error) {
	headers, err := stored.DecodeHeaders(blob(v[9]))
	if err != nil {
		return nil, err
	}
	j := &durable.Job{
		Job: queue.Job{
			Lane: lane, Generation: integer(v[2]), Enqueued: moment(v[3]), NotBefore: moment(v[4]), FirstTried: moment(v[5]),
			Attempt: int(integer(v[6])), OrderKey: text(v[7]), Headers: headers, Urgent: integer(v[10]) != 0,
		},
		Ref: &lanes.Ref{Num: integer(v[0]), Due: integer(v[1]), ScheduleKey: text(v[8]), OrderKey: text(v[7])},
	}
	if j.Event, err = readEvent(integer(v[11]), text(v[12])); err != nil {
		j.Ref.Unreadable = "the stored event cannot be read: " + err.Error()
	}
	return j, nil
}

// Later implements durable.Store.
func (s *store) Later(ctx context.Context, lane string, now int64) (later int, err error) {
	err = s.readers.inspect.read(ctx, func(c *conn) error {
		n, err := c.number("SELECT count(*) FROM job WHERE lane = (SELECT num FROM lane WHERE name = ?) AND due > ? AND due < ?",
			lane, now, durable.HeldBack)
		later = int(n)
		return err
	})
	return later, err
}

// lastWritten is when the file was last written, by the wall clock of that moment; 0 = there is none.
func lastWritten(path string) (at int64) {
	for _, name := range [...]string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			at = max(at, info.ModTime().UnixNano())
		}
	}
	return at
}

// followBack does for a file that was last written in the future what tx.Follow does while it is open: the clock was
// set back in between.
func (s *store) followBack(written, now int64) error {
	by := written - now
	if by < int64(500*time.Millisecond) {
		return nil
	}
	_, err := s.conn.exec("UPDATE job SET due = due - ?1, not_before = due - ?1 WHERE pause = 1 AND due > ?2 AND due < ?3",
		by, written, durable.HeldBack)
	if code(err)&primary == sqlite3.SQLITE_FULL {
		return nil // a full disk does not keep a file from being opened
	}
	return err
}
