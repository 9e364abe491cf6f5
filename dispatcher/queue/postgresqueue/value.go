package postgresqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
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

// headersFormat begins the stored form of headers: 1 is the number of pairs, then each name and value with its length
// in front, sorted by name. JSON would not bring every byte back.
const headersFormat = 1

var errHeaders = errors.New("stored headers are damaged")

// encodeHeaders returns nil for nil, which the database keeps as NULL.
func encodeHeaders(headers map[string]string) []byte {
	if headers == nil {
		return nil
	}
	b := binary.AppendUvarint([]byte{headersFormat}, uint64(len(headers)))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		b = appendString(appendString(b, name), headers[name])
	}
	return b
}

// appendString appends s with its length in front.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func decodeHeaders(b []byte) (map[string]string, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // no headers is what is stored
	}
	if len(b) == 0 || b[0] != headersFormat {
		return nil, errHeaders
	}
	b = b[1:]
	pairs, ok := cutNumber(&b)
	if !ok || pairs > uint64(len(b)) { // a pair has two bytes at least
		return nil, errHeaders
	}
	headers := make(map[string]string, pairs)
	for range pairs {
		name, ok1 := cutString(&b)
		value, ok2 := cutString(&b)
		if !ok1 || !ok2 {
			return nil, errHeaders
		}
		headers[name] = value
	}
	if len(b) > 0 {
		return nil, errHeaders
	}
	return headers, nil
}

// cutNumber takes a number off the front of b.
func cutNumber(b *[]byte) (uint64, bool) {
	n, size := binary.Uvarint(*b)
	if size <= 0 {
		return 0, false
	}
	*b = (*b)[size:]
	return n, true
}

func cutString(b *[]byte) (string, bool) {
	n, ok := cutNumber(b)
	if !ok || n > uint64(len(*b)) {
		return "", false
	}
	s := string((*b)[:n])
	*b = (*b)[n:]
	return s, true
}
