package natsqueue

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// A job is a message whose payload is the event's JSON, byte for byte, and whose other fields are headers. The
// server drops headers of its own when a message schedule fires; these it keeps. The lane is in the subject. Text
// is escaped as in the query of a URL, so any bytes survive.
const (
	// headerJob has the version of this form, and times and numbers in the order of numbers.write: one header,
	// because each costs the server a search.
	headerJob      = "Tocsin-Job"
	headerOrderKey = "Tocsin-Order-Key"
	headerHeaders  = "Tocsin-Headers"
	headerNumber   = "Tocsin-Number" // of a scheduled job, until it has started: names it to Cancel
	headerDied     = "Tocsin-Died"   // of a dead letter
	headerReason   = "Tocsin-Reason"
)

// format is the version of messages this package writes.
const format = 1

var (
	// errNewer says that a later version of this package wrote the message.
	errNewer   = errors.New("written by a newer version")
	errCorrupt = errors.New("not a job of this package")
)

// jobMessage is j as a message, without a subject.
func jobMessage(j *queue.Job) *nats.Msg {
	h := nats.Header{headerJob: {numbersOf(j).String()}}
	if j.OrderKey != "" {
		h[headerOrderKey] = []string{url.QueryEscape(j.OrderKey)}
	}
	if len(j.Headers) > 0 {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(j.Headers)) {
			pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(j.Headers[name]))
		}
		h[headerHeaders] = []string{strings.Join(pairs, "&")}
	}
	return &nats.Msg{Header: h, Data: j.Event.JSON()}
}

// readJob is the inverse of jobMessage for a job of the given lane.
func readJob(lane string, h nats.Header, data []byte) (queue.Job, error) {
	n, err := readNumbers(h.Get(headerJob))
	if err != nil {
		return queue.Job{}, err
	}
	j := queue.Job{Route: lane}
	if j.Event, err = event.Parse(data); err != nil {
		return queue.Job{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	n.apply(&j)
	r := fields{header: h}
	j.OrderKey, j.Headers = r.text(headerOrderKey), r.pairs(headerHeaders)
	if r.bad {
		return queue.Job{}, errCorrupt
	}
	return j, nil
}

// numbers are the fields of a job that are no text.
type numbers struct {
	enqueued, notBefore, firstTried time.Time
	attempt                         int
	generation                      int64
	urgent                          bool
}

func numbersOf(j *queue.Job) numbers {
	return numbers{j.Enqueued, j.NotBefore, j.FirstTried, j.Attempt, j.Generation, j.Urgent}
}

func (n numbers) apply(j *queue.Job) {
	j.Enqueued, j.NotBefore, j.FirstTried, j.Attempt, j.Generation = n.enqueued, n.notBefore, n.firstTried, n.attempt, n.generation
	j.Urgent = n.urgent
}

// urgent is the last part of the numbers of an urgent job; that of others is missing.
const urgent = "urgent"

// String writes the version and the numbers, separated by blanks.
func (n numbers) String() string {
	b := strconv.AppendInt(make([]byte, 0, 96), format, 10)
	for _, t := range [...]time.Time{n.enqueued, n.notBefore, n.firstTried} {
		b = appendStamp(append(b, ' '), t)
	}
	b = strconv.AppendInt(append(b, ' '), int64(n.attempt), 10)
	b = strconv.AppendInt(append(b, ' '), n.generation, 10)
	if n.urgent {
		b = append(append(b, ' '), urgent...)
	}
	return string(b)
}

// readNumbers is the inverse of numbers.String. What a later version appends within the same format is ignored.
func readNumbers(s string) (n numbers, err error) {
	part := strings.Split(s, " ")
	version, err := strconv.Atoi(part[0])
	switch {
	case err != nil || version < 1:
		return n, errCorrupt
	case version > format:
		return n, errNewer
	case len(part) < 6:
		return n, errCorrupt
	}
	bad := false
	for i, t := range [...]*time.Time{&n.enqueued, &n.notBefore, &n.firstTried} {
		if *t, err = unstamp(part[1+i]); err != nil {
			bad = true
		}
	}
	var err2 error
	n.attempt, err = strconv.Atoi(part[4])
	n.generation, err2 = strconv.ParseInt(part[5], 10, 64)
	if bad || err != nil || err2 != nil || n.attempt < 0 {
		return numbers{}, errCorrupt
	}
	n.urgent = len(part) > 6 && part[6] == urgent
	return n, nil
}

// fields reads headers and remembers if one was bad.
type fields struct {
	header nats.Header
	bad    bool
}

func (r *fields) text(name string) string {
	s, err := url.QueryUnescape(r.header.Get(name))
	r.bad = r.bad || err != nil
	return s
}

func (r *fields) time(name string) time.Time {
	t, err := unstamp(r.header.Get(name))
	r.bad = r.bad || err != nil
	return t
}

func (r *fields) pairs(name string) map[string]string {
	s := r.header.Get(name)
	if s == "" {
		return nil
	}
	pairs := map[string]string{}
	for pair := range strings.SplitSeq(s, "&") {
		key, value, _ := strings.Cut(pair, "=")
		k, err := url.QueryUnescape(key)
		v, err2 := url.QueryUnescape(value)
		r.bad = r.bad || err != nil || err2 != nil
		pairs[k] = v
	}
	return pairs
}

// appendStamp writes a time as Unix seconds and nine digits; "-" is the zero time.
func appendStamp(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, '-')
	}
	b = append(strconv.AppendInt(b, t.Unix(), 10), '.')
	nano := t.Nanosecond()
	for unit := 100_000_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+nano/unit%10))
	}
	return b
}

func stamp(t time.Time) string { return string(appendStamp(nil, t)) }

func unstamp(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	whole, fraction, ok := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	nsec, err2 := strconv.ParseUint(fraction, 10, 30)
	if !ok || err != nil || err2 != nil || len(fraction) != 9 {
		return time.Time{}, errCorrupt
	}
	return time.Unix(sec, int64(nsec)), nil
}
