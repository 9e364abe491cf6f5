package outbox

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// rowFormat says how a row is stored: in 1 the body is event.Event.JSON, byte for byte.
const rowFormat = 1

// Operation is what a row asks for.
type Operation uint8

// The operations. Their values are stored.
const (
	OperationDispatch Operation = 1
	OperationSchedule Operation = 2
	OperationCancel   Operation = 3
)

// String returns dispatch, schedule or cancel.
func (o Operation) String() string {
	switch o {
	case OperationDispatch:
		return "dispatch"
	case OperationSchedule:
		return "schedule"
	case OperationCancel:
		return "cancel"
	}
	return fmt.Sprintf("operation %d", uint8(o))
}

// row is a stored row.
type row struct {
	id        int64
	format    int64
	operation int64
	at        int64 // of a schedule: nanoseconds since 1970
	key       string
	body      []byte
}

// columns are those of a row that come from the host's call.
const columns = "format, operation, at, name, body"

// scanner is a *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// scan reads id and columns, behind what before points to. Columns of an outer join may be NULL.
func (r *row) scan(s scanner, before ...any) error {
	var id, format, operation, at sql.NullInt64
	var key []byte
	if err := s.Scan(append(before, &id, &format, &operation, &at, &key, &r.body)...); err != nil {
		return err
	}
	r.id, r.format, r.operation, r.at, r.key = id.Int64, format.Int64, operation.Int64, at.Int64, string(key)
	return nil
}

// decode returns the event of a row. An error says that this program can do nothing with the row.
func (r *row) decode() (event.Event, error) {
	if r.format != rowFormat {
		return event.Event{}, fmt.Errorf("row has format %d, this program knows %d: requeue it in a newer version", r.format, rowFormat)
	}
	switch Operation(r.operation) {
	case OperationDispatch, OperationSchedule:
		return event.Parse(r.body)
	case OperationCancel:
		return event.Event{}, nil
	}
	return event.Event{}, errors.New("row has an unknown operation")
}

// nanoseconds is a time as rows keep it. Times outside the years 1678 to 2262 become the nearest within.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// maxReason is the most bytes of a stored reason.
const maxReason = 1000

// reason is an error's text as every database stores it, whatever its encoding.
func reason(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, err.Error())
	return text[:min(len(text), maxReason)]
}

// list writes ids as the list of an IN.
func list(ids []int64) string {
	return "(" + strings.ReplaceAll(strings.Trim(fmt.Sprint(ids), "[]"), " ", ", ") + ")"
}
