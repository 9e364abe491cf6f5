package sqlitequeue

import (
	"database/sql/driver"
	"fmt"
	"math"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/event"
)

type driverValue = driver.Value

// bodyFormat says how an event is stored: 1 is event.Event.JSON.
const bodyFormat = 1

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

// stamp is a time as the file keeps it; NULL is the zero time. Times beyond the year 2262 become its end.
func stamp(t time.Time) any {
	switch {
	case t.IsZero():
		return nil
	case t.After(time.Unix(0, durable.Latest)):
		return durable.Latest
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
	if int64(d) > durable.Latest-now {
		return durable.Latest
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
