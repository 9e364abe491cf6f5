package sqlitequeue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// store is the durable.Store in a file.
type store struct {
	path      string
	log       *slog.Logger
	deadLimit int
	deadAge   time.Duration

	volume  volume
	owner   *owner
	conn    *conn // the writing one
	readers *readers

	mu    sync.Mutex
	lanes map[string]int64 // their numbers in the file

	known known
	seq   int64        // of the latest event
	dead  atomic.Int64 // dead letters

	failing    bool      // the last transaction failed
	noRoom     bool      // the last new events were refused
	moved      error     // the file is no longer where it was: nothing is written any more
	cleaned    time.Time // when housekeeping was last done
	leftOver   bool      // it did not get to the end
	longReader time.Time // when the log could not be emptied, because somebody read from it
}

var _ durable.Store = (*store)(nil)

// lane is the number of a lane in the file; 0 = it has none.
func (s *store) lane(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[name]
}

func (s *store) setLane(name string, num int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[name] = num
}

// restore reads what is kept in memory, and counts the jobs of each lane.
func (s *store) restore(ctx context.Context) (jobs map[string]int, err error) {
	jobs, s.lanes = map[string]int{}, map[string]int64{}
	err = s.readers.inspect.read(ctx, func(c *conn) error {
		err := c.each(func(row []driverValue) bool {
			s.lanes[text(row[1])] = integer(row[0])
			if n := int(integer(row[2])); n > 0 {
				jobs[text(row[1])] = n
			}
			return true
		}, "SELECT num, name, (SELECT count(*) FROM job WHERE lane = num) FROM lane")
		if err != nil {
			return err
		}
		if s.seq, err = c.number("SELECT max(seq) FROM event"); err != nil {
			return err
		}
		dead, err := c.number("SELECT count(*) FROM dead")
		if err != nil {
			return err
		}
		s.dead.Store(dead)
		return s.known.load(c)
	})
	return jobs, err
}

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
// one transaction takes on.
const (
	cleanEvery    = time.Minute
	leftOverEvery = time.Second
)

// Housekeep implements durable.Store. Its failure is nobody's: it is tried again.
func (s *store) Housekeep(now int64) {
	defer s.shortenLog()
	every := cleanEvery
	if s.leftOver {
		every = leftOverEvery
	}
	full := s.dead.Load() > int64(s.deadLimit)
	if !full && time.Since(s.cleaned) < every {
		return
	}
	if !full {
		s.cleaned = time.Now()
	}
	t, err := s.begin(now)
	if err == nil {
		if err = t.retain(); err == nil {
			err = t.Commit()
		}
		if err != nil {
			t.Rollback()
		}
	}
	s.report(err)
}

// loadBytes is how many bytes of events one load reads, and little more.
const loadBytes = 4 << 20

// Load implements durable.Store.
func (s *store) Load(lane string, q durable.LoadQuery) (loaded durable.Loaded, err error) {
	num := s.lane(lane)
	err = s.readers.loads.read(context.Background(), func(c *conn) error {
		loaded = durable.Loaded{}
		l := loading{conn: c, lane: lane, num: num, held: q.Held}
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

// jobQuery reads jobs for readJob. The urgent ones, which are few, are read by their index: SQLite does not know how
// few, and would read all that are due to find them.
const (
	jobColumns = `SELECT job.seq, due, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers, urgent,
		format, body FROM `
	withEvent = ` CROSS JOIN event ON event.seq = job.seq `
	jobQuery  = jobColumns + "job" + withEvent
	byUrgency = "job INDEXED BY job_urgent"
)

// readJob reads a job. One whose event cannot be read has none.
func readJob(v []driverValue, lane string) (*durable.Job, error) {
	headers, err := decodeHeaders(blob(v[9]))
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

// Count implements durable.Store.
func (s *store) Count(ctx context.Context, lane string, now int64) (later, dead int, err error) {
	num := s.lane(lane)
	err = s.readers.inspect.read(ctx, func(c *conn) error {
		n, err := c.number("SELECT count(*) FROM job WHERE lane = ? AND due > ? AND due < ?", num, now, durable.HeldBack)
		if err != nil {
			return err
		}
		m, err := c.number("SELECT count(*) FROM dead WHERE lane = ?", num)
		later, dead = int(n), int(m)
		return err
	})
	return later, dead, err
}

// DeadLanes implements durable.Store.
func (s *store) DeadLanes(ctx context.Context) (names []string, err error) {
	err = s.readers.inspect.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			names = append(names, text(v[0]))
			return true
		}, "SELECT name FROM lane WHERE EXISTS (SELECT 1 FROM dead WHERE lane = lane.num)")
	})
	return names, err
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
	ref *lanes.Ref // Num is that of its event
}

// selected reads up to limit of the selected dead letters with numbers up to last; below 0 = all.
func (s *store) selected(c *conn, sel queue.Selection, last int64, limit int) (all []deadLetter, err error) {
	where, args := "dead.num > ? AND dead.num <= ?", []any{sel.After, last}
	if sel.Lane != "" {
		where, args = where+" AND dead.lane = ?", append(args, s.lane(sel.Lane)) // 0 is no lane's
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
			queue.DeadLetter{Job: j.Job, Seq: integer(v[14]), At: moment(v[15]), Reason: text(v[16])}, j.Ref,
		})
		return true
	}, `SELECT dead.seq, 0, generation, enqueued, not_before, first_tried, attempt, order_key, NULL, headers, urgent, format, body,
		lane.name, dead.num, died, reason FROM dead CROSS JOIN event ON event.seq = dead.seq CROSS JOIN lane ON lane.num = dead.lane
		WHERE `+where+` ORDER BY dead.num LIMIT ?`, append(args, int64(limit))...)
	return all, errors.Join(err, bad)
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
