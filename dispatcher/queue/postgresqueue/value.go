package postgresqueue

import (
	"fmt"
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/event"
)

// bodyFormat says how an event is stored: 1 is event.Event.JSON.
const bodyFormat = 1

func readEvent(format int16, body []byte) (event.Event, error) {
	if format != bodyFormat {
		return event.Event{}, fmt.Errorf("stored event has format %d, this program knows %d", format, bodyFormat)
	}
	return event.Parse(body)
}

// stamp is a time as the database keeps it; nil, which is NULL, is the zero time. Times beyond the year 2262 become its
// end.
func stamp(t time.Time) *int64 {
	n := int64(0)
	switch {
	case t.IsZero():
		return nil
	case t.After(time.Unix(0, durable.Latest)):
		n = durable.Latest
	case t.Before(time.Unix(0, math.MinInt64)):
		n = math.MinInt64
	default:
		n = t.UnixNano()
	}
	return &n
}

// stampOf is a time that is never NULL.
func stampOf(t time.Time) int64 {
	if n := stamp(t); n != nil {
		return *n
	}
	return 0
}

func moment(n *int64) time.Time {
	if n == nil {
		return time.Time{}
	}
	return time.Unix(0, *n)
}

// later is the time d from now, the latest at most.
func later(now int64, d time.Duration) int64 {
	if int64(d) > durable.Latest-now {
		return durable.Latest
	}
	return now + int64(d)
}

// orNull stores "" as NULL, which keeps it out of the indexes.
func orNull(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}
