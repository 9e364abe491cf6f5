package sqlitequeue

import (
	"context"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// How much is read ahead. A lane has a window of between leastWindow and mostWindow jobs, all lanes together of about
// windows; and one reading takes no more than readBytes of events.
const (
	leastWindow = 16
	mostWindow  = 512
	windows     = 1 << 16
	readBytes   = 4 << 20
)

// window is how many jobs may wait in memory for each lane.
func (q *Queue) window() int {
	return min(max(windows/max(int(q.opened.Load()), 1), leastWindow), q.ahead)
}

// refill asks for a load when few are left in memory and the file has more. Called with the lane locked.
func (l *lane) refill() {
	if (l.more || l.overdue) && l.turns.len() <= l.queue.window()/4 {
		l.ask(1)
	}
}

// longestSleep is how long a lane sleeps at most that has jobs with a later time.
const longestSleep = time.Minute

// ask makes the loader look at the lane at a time, 1 = at once; an earlier call that was asked for will do. Called with
// the lane locked.
//
// The loader is a lane of a queue in memory: that has the timer, the order and the one goroutine when there is work.
func (l *lane) ask(at int64) {
	if l.asked != 0 && l.asked <= at {
		return
	}
	l.asked = at
	// From the difference to now, because the timer runs on the monotonic clock.
	wait := min(max(time.Duration(at-l.queue.clock.due()), 0), longestSleep)
	j := queue.Job{Generation: l.num, NotBefore: time.Now().Add(wait)}
	_ = l.queue.loads.Schedule(context.Background(), strconv.FormatInt(l.num, 10), j) // there is no bound to refuse it
}

// loadAsked is the handler of the loader.
func (q *Queue) loadAsked(_ context.Context, j queue.Job) queue.Disposition {
	if j.Generation == 0 { // no lane has this number
		q.watchClock()
		return queue.Disposition{Action: queue.Done}
	}
	l := q.numbered(j.Generation)
	err := q.load(l)
	if isClosed(err) {
		return queue.Disposition{Action: queue.Done}
	}
	l.mu.Lock()
	was := l.unreadable
	l.unreadable = err != nil
	if err != nil {
		l.ask(l.queue.clock.now() + int64(lastPause))
	}
	l.mu.Unlock()
	switch {
	case err != nil && !was:
		q.log.Error("tocsin: the queue's file cannot be read; the route waits", "route", l.name, "error", storeError("read jobs", err))
	case err == nil && was:
		q.log.Info("tocsin: the queue's file can be read again", "route", l.name)
	}
	return queue.Disposition{Action: queue.Done}
}

// ahead is what a load has read.
type ahead struct {
	first                     []*row // urgent ones that could start
	late, now                 []*row // whose time has come, and without a time
	allFirst, allLate, allNow bool   // whether these are all there are
	next, nextUrgent          int64  // when the next one of a later time is due; 0 = none
}

// load brings the next jobs of a lane into its window.
func (q *Queue) load(l *lane) error {
	p, ok := l.beginLoad()
	if !ok {
		return nil
	}
	steps := q.clock.steps()
	a, err := q.readAhead(l.num, p)
	if err == nil && q.clock.steps() != steps { // which times were read is not known
		a, err = q.readAhead(l.num, p)
	}
	return l.endLoad(p, a, err)
}

// loading is what a load has to know of the moment it began.
type loading struct {
	cursor             int64
	held, room         int // room 0 = for urgent ones only
	leftNow, leftLater int64
	taken              int64
	urgent             bool // urgent ones are to be looked for
}

// beginLoad reports whether there is anything to load for.
func (l *lane) beginLoad() (p loading, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = 0
	p = loading{
		cursor: l.cursor, held: len(l.held), room: max(l.queue.window()-l.turns.len(), 0),
		leftNow: l.leftNow, leftLater: l.leftLater, taken: l.taken,
		urgent: l.urgentLeft,
	}
	if l.inner == nil || l.taking > 0 || p.room == 0 && !p.urgent {
		l.overdue = l.overdue || p.room == 0 // as far as is known
		return p, false
	}
	l.urgentLeft = false // unless one is left meanwhile
	l.seen = make(map[int64]bool, len(l.held))
	for seq := range l.held {
		l.seen[seq] = true
	}
	return p, true
}

// endLoad takes what was read into the window, as far as that is still true.
func (l *lane) endLoad(p loading, a ahead, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.signal()
	seen := l.seen
	l.seen = nil
	if err != nil || l.taking > 0 || l.taken != p.taken {
		l.urgentLeft = l.urgentLeft || p.urgent
		if err == nil && l.taking == 0 { // else what was read may be gone; when that is known, a load is asked for
			l.ask(1)
		}
		return err
	}
	l.urgentLeft = l.urgentLeft || p.urgent && (!a.allFirst || a.nextUrgent != 0)
	for _, rows := range [...][]*row{a.first, a.late, a.now} {
		for _, r := range rows {
			if !seen[r.seq] {
				l.enter(r)
			}
		}
	}
	if p.room == 0 {
		l.overdue = true // as far as is known
		if a.nextUrgent != 0 {
			l.ask(a.nextUrgent)
		}
		return nil
	}
	if n := len(a.now); n > 0 {
		l.cursor = max(l.cursor, a.now[n-1].seq)
	}
	l.overdue = !a.allLate || p.urgent && !a.allFirst
	l.more = !a.allNow || l.leftNow != p.leftNow
	if l.leftLater == p.leftLater || l.next == 0 || a.next != 0 && a.next < l.next {
		l.next = a.next
	}
	if l.leftNow != p.leftNow {
		l.ask(1)
	}
	if l.next != 0 {
		l.ask(l.next)
	}
	l.refill()
	return nil
}

// readAhead reads the jobs of a lane that could start: those whose time has come, by that, of which held may be in
// memory already, and those without a time beyond cursor, by seq. When there are many of both they share the room, so
// that neither waits for the other. Urgent ones are read also when there is no room.
func (q *Queue) readAhead(lane int64, p loading) (a ahead, err error) {
	now, steps := q.clock.due(), q.clock.steps()
	err = q.readers.loads.read(context.Background(), func(c *conn) error {
		var err error
		if p.urgent {
			a.first, a.allFirst, err = readRows(c, byUrgency, p.held+q.window(),
				"urgent = 1 AND order_key IS NULL AND due <= ? ORDER BY due, job.seq", lane, now)
			if err != nil {
				return err
			}
			a.nextUrgent, err = c.number(`SELECT due FROM `+byUrgency+` WHERE lane = ? AND urgent = 1 AND order_key IS NULL
				AND due > ? AND due < ? ORDER BY due LIMIT 1`, lane, now, int64(heldBack))
		}
		if err != nil || p.room == 0 {
			return err
		}
		a.late, a.allLate, err = readRows(c, byTime, p.held+(p.room+1)/2, "due > 0 AND due <= ? ORDER BY due, job.seq", lane, now)
		if err != nil {
			return err
		}
		a.now, a.allNow, err = readRows(c, byTime, max(p.room-len(a.late), (p.room+1)/2), "due = 0 AND job.seq > ? ORDER BY job.seq", lane, p.cursor)
		if err != nil {
			return err
		}
		a.next, err = c.number("SELECT due FROM job WHERE lane = ? AND due > ? AND due < ? ORDER BY due LIMIT 1",
			lane, now, int64(heldBack))
		return err
	})
	for _, rows := range [...][]*row{a.first, a.late, a.now} {
		for _, r := range rows {
			r.steps = steps
		}
	}
	return a, err
}

// The table of jobs, read by its key, or by the index of the few that are urgent. SQLite knows no numbers of either,
// and would read all that are due to find these.
const (
	byTime    = "job"
	byUrgency = "job INDEXED BY job_urgent"
)

// readRows reads jobs of a lane, and reports whether it came to the end of them.
func readRows(c *conn, table string, limit int, where string, lane, bound int64) (rows []*row, all bool, err error) {
	var bad error
	size := 0
	all = true
	err = c.each(func(v []driverValue) bool {
		r, err := readRow(v)
		if err != nil {
			bad = err
			return false
		}
		rows = append(rows, r)
		size += len(r.body)
		all = len(rows) < limit && size < readBytes
		return all
	}, `SELECT `+jobColumns+` FROM `+table+` CROSS JOIN event ON event.seq = job.seq WHERE lane = ? AND `+where+` LIMIT ?`,
		lane, bound, int64(limit))
	if err == nil {
		err = bad
	}
	return rows, all, err
}
