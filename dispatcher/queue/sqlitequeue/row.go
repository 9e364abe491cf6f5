package sqlitequeue

import (
	"container/list"
	"database/sql/driver"
	"fmt"
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

type driverValue = driver.Value

// heldBack is the due of a job that waits behind another with its order key; latest is the last time there is.
const (
	heldBack = math.MaxInt64
	latest   = heldBack - 1
)

// bodyFormat says how an event is stored: 1 is event.Event.JSON.
const bodyFormat = 1

// row is a job of the file that is in memory.
type row struct {
	ticket     int64         // with which it runs, or which came with it
	turn       *list.Element // nil = it does not wait in memory
	started    bool          // it was tried since it came into memory
	steps      int64         // of the clock when it was read or stored
	seq, due   int64
	generation int64
	enqueued   any // int64, or nil for a zero time
	notBefore  any
	firstTried any
	attempt    int64
	orderKey   string
	name       string // of Schedule
	headers    map[string]string
	urgent     bool
	event      event.Event // zero = still to be read from body
	body       string
	format     int64
}

// jobColumns are those of table job in the order that readRow expects, then an event's.
const jobColumns = `job.seq, due, generation, enqueued, not_before, first_tried, attempt, order_key, name, headers, urgent, format, body`

func readRow(v []driver.Value) (*row, error) {
	headers, err := decodeHeaders(blob(v[9]))
	if err != nil {
		return nil, err
	}
	return &row{
		seq: integer(v[0]), due: integer(v[1]), generation: integer(v[2]), enqueued: v[3], notBefore: v[4],
		firstTried: v[5], attempt: integer(v[6]), orderKey: text(v[7]), name: text(v[8]), headers: headers,
		urgent: integer(v[10]) != 0, format: integer(v[11]), body: text(v[12]),
	}, nil
}

// newRow is a job as it is stored; due is set when it is known what waits before it.
func newRow(j *queue.Job, seq int64) *row {
	return &row{
		seq: seq, generation: j.Generation, enqueued: stamp(j.Enqueued), notBefore: stamp(j.NotBefore),
		firstTried: stamp(j.FirstTried), attempt: int64(j.Attempt), orderKey: j.OrderKey, headers: j.Headers,
		urgent: j.Urgent, event: j.Event,
	}
}

// job is the row as a handler gets it. The error says that its event cannot be read.
func (r *row) job(lane string) (queue.Job, error) {
	j := queue.Job{
		Event: r.event, Route: lane, OrderKey: r.orderKey, Generation: r.generation, Enqueued: moment(r.enqueued),
		NotBefore: moment(r.notBefore), FirstTried: moment(r.firstTried), Attempt: int(r.attempt), Headers: r.headers,
		Urgent: r.urgent,
	}
	if !r.event.IsZero() {
		return j, nil
	}
	e, err := readEvent(r.format, r.body)
	if err != nil {
		return j, err
	}
	r.event, r.body = e, ""
	j.Event = e
	return j, nil
}

func readEvent(format int64, body string) (event.Event, error) {
	if format != bodyFormat {
		return event.Event{}, fmt.Errorf("stored event has format %d, this program knows %d", format, bodyFormat)
	}
	return event.Parse([]byte(body))
}

// flag is how the file keeps a bool.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// startAt is the due of a job that nothing holds back.
func startAt(notBefore any, now int64) int64 {
	if at := integer(notBefore); at > now {
		return at
	}
	return 0
}

// stamp is a time as the file keeps it; NULL is the zero time. Times beyond the year 2262 become its end.
func stamp(t time.Time) any {
	switch {
	case t.IsZero():
		return nil
	case t.After(time.Unix(0, latest)):
		return int64(latest)
	case t.Before(time.Unix(0, math.MinInt64)):
		return int64(math.MinInt64)
	}
	return t.UnixNano()
}

func moment(v any) time.Time {
	n, ok := v.(int64)
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// later is the time d from now, the latest at most.
func later(now int64, d time.Duration) int64 {
	if int64(d) > latest-now {
		return latest
	}
	return now + int64(d)
}

// orNull stores "" as NULL, which keeps it out of the indexes.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// blobOrNull is nil for nil, not an empty value.
func blobOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
