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

// A job is a message whose payload is the event's JSON, byte for byte, and whose other fields are headers. The server drops
// headers of its own when a message schedule fires; these it keeps. The lane is in the subject. Text is escaped as in the
// query of a URL, so any bytes survive.
const (
	headerFormat     = "Tocsin-Format" // version of this form
	headerOrderKey   = "Tocsin-Order-Key"
	headerGeneration = "Tocsin-Generation"
	headerEnqueued   = "Tocsin-Enqueued"
	headerNotBefore  = "Tocsin-Not-Before"
	headerFirstTried = "Tocsin-First-Tried"
	headerAttempt    = "Tocsin-Attempt"
	headerHeaders    = "Tocsin-Headers"
	headerNumber     = "Tocsin-Number" // of a scheduled job, until it has started: names it to Cancel
	headerDied       = "Tocsin-Died"   // of a dead letter
	headerReason     = "Tocsin-Reason"
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
	h := nats.Header{headerFormat: {strconv.Itoa(format)}}
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	set(headerOrderKey, url.QueryEscape(j.OrderKey))
	set(headerEnqueued, stamp(j.Enqueued))
	set(headerNotBefore, stamp(j.NotBefore))
	set(headerFirstTried, stamp(j.FirstTried))
	if j.Generation != 0 {
		set(headerGeneration, strconv.FormatInt(j.Generation, 10))
	}
	if j.Attempt != 0 {
		set(headerAttempt, strconv.Itoa(j.Attempt))
	}
	if len(j.Headers) > 0 {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(j.Headers)) {
			pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(j.Headers[name]))
		}
		set(headerHeaders, strings.Join(pairs, "&"))
	}
	return &nats.Msg{Header: h, Data: j.Event.JSON()}
}

// readJob is the inverse of jobMessage for a job of the given lane.
func readJob(lane string, h nats.Header, data []byte) (queue.Job, error) {
	version, err := strconv.Atoi(h.Get(headerFormat))
	switch {
	case err != nil || version < 1:
		return queue.Job{}, errCorrupt
	case version > format:
		return queue.Job{}, errNewer
	}
	j := queue.Job{Route: lane}
	if j.Event, err = event.Parse(data); err != nil {
		return queue.Job{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	r := fields{header: h}
	j.OrderKey = r.text(headerOrderKey)
	j.Generation = r.number(headerGeneration)
	j.Enqueued, j.NotBefore, j.FirstTried = r.time(headerEnqueued), r.time(headerNotBefore), r.time(headerFirstTried)
	j.Attempt = int(r.number(headerAttempt))
	j.Headers = r.pairs(headerHeaders)
	if r.bad {
		return queue.Job{}, errCorrupt
	}
	return j, nil
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

func (r *fields) number(name string) int64 {
	s := r.header.Get(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	r.bad = r.bad || err != nil
	return n
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

// stamp writes a time as Unix seconds and nine digits; "" is the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

func unstamp(s string) (time.Time, error) {
	if s == "" {
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
