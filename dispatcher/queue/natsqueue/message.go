package natsqueue

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// naming makes the names of streams and subjects from Config.Name. It belongs to the stored form: another
// naming needs another version.
//
//	<name>.ready.<lane>.job     jobs whose time has come, in the order stored
//	<name>.ready.<lane>.<key>   scheduled jobs whose time has come, so that Cancel finds them
//	<name>.later.<lane>.<job>.<attempt>.<slot>  jobs with a later time: a message schedule each
//	<name>.timed.<lane>.<key>.<number>.<slot>   scheduled jobs with a later time: a message schedule each
//	<name>.head.<lane>          attempts of the job that holds up a strict lane
//	<name>.dead.<lane>.<job>    dead letters, in a stream of their own
//	<name>.mark.<number>        scheduled jobs that were started or cancelled, in a stream of their own
//	<name>.worker.<worker>      a process that serves lanes, in a stream of their own
//	<name>.owner.<worker>.<lane>  that it owns the lane, in the same stream
//	<name>.left.<lane>          what a worker that left the lane may have removed, in the same stream
//
// Two more are in no stream:
//
//	<name>.stored.<lane>        a job is ready in the lane, or its owner has left it
//	<name>.ask.<process>        requests of one process to another
//
// Only the subjects of message schedules have six tokens, and the last of them is the slot of their time: so those
// of a time are found without reading the others.
type naming string

func (n naming) jobs() string    { return string(n) + "-jobs" }
func (n naming) dead() string    { return string(n) + "-dead" }
func (n naming) marks() string   { return string(n) + "-marks" }
func (n naming) workers() string { return string(n) + "-workers" }

func (n naming) subject(kind string, tokens ...string) string {
	return string(n) + "." + kind + "." + strings.Join(tokens, ".")
}

// timedOf is where the jobs of a key wait for their time, given where they are from then on.
func (n naming) timedOf(ready string) string {
	return n.subject(kindTimed, strings.TrimPrefix(ready, string(n)+"."+kindReady+"."))
}

// The kinds of subjects.
const (
	kindReady  = "ready"
	kindLater  = "later"
	kindTimed  = "timed"
	kindHead   = "head"
	kindDead   = "dead"
	kindMark   = "mark"
	kindWorker = "worker"
	kindOwner  = "owner"
	kindLeft   = "left"
	kindStored = "stored"
	kindAsk    = "ask"
)

const (
	plainJob     = "job" // the last token of a job that no key names; shorter than any digest
	wildcard     = "*"
	fullWildcard = ">"
)

// slotLength is how long a slot of time is.
const slotLength = 10 * time.Second

// slotOf numbers the slot a time lies in.
func slotOf(at time.Time) int64 { return at.Unix() / int64(slotLength/time.Second) }

// slotToken is the last token of the subjects of schedules in a slot.
func slotToken(slot int64) string { return strconv.FormatInt(slot, 10) }

// slotIn is the slot in the subject of a schedule.
func slotIn(subject string) (int64, error) {
	return strconv.ParseInt(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
}

// schedules is the filter for the message schedules of a lane in a slot; either may be anything.
func (n naming) schedules(lane, slot string) string {
	return string(n) + "." + wildcard + "." + lane + "." + wildcard + "." + wildcard + "." + slot
}

// token writes a name as one token of a subject: letters, digits, "-" and "_" as they are, every other byte as "="
// and two hexadecimal digits, the empty name as "=".
func token(name string) string {
	if name == "" {
		return "="
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if isWord(c) {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "=%02X", c)
	}
	return b.String()
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

var errToken = errors.New("not a token this package writes")

// untoken is the inverse of token. It takes nothing that token does not write, so a name has one token.
func untoken(t string) (string, error) {
	if t == "=" {
		return "", nil
	}
	parts := strings.Split(t, "=")
	b := []byte(parts[0])
	for _, part := range parts[1:] {
		if len(part) < 2 {
			return "", errToken
		}
		c, err := strconv.ParseUint(part[:2], 16, 8)
		if err != nil {
			return "", errToken
		}
		b = append(append(b, byte(c)), part[2:]...)
	}
	if name := string(b); token(name) == t {
		return name, nil
	}
	return "", errToken
}

// laneOf is the lane in the third token of a subject of this package.
func laneOf(subject string) (string, error) {
	parts := strings.SplitN(subject, ".", 4)
	if len(parts) < 3 {
		return "", errToken
	}
	return untoken(parts[2])
}

// digest shortens a key or an id to a token of 24 characters: 144 bits of SHA-256.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

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
	headerDeadAt   = "Tocsin-Died"   // of a dead letter
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
		pairs := url.Values{}
		for name, value := range j.Headers {
			pairs.Set(name, value)
		}
		h[headerHeaders] = []string{pairs.Encode()}
	}
	return &nats.Msg{Header: h, Data: j.Event.JSON()}
}

// readJob is the inverse of jobMessage for a job of the given lane.
func readJob(lane string, h nats.Header, data []byte) (queue.Job, error) {
	n, err := readNumbers(h.Get(headerJob))
	if err != nil {
		return queue.Job{}, err
	}
	j := queue.Job{Lane: lane}
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
		b = appendTime(append(b, ' '), t)
	}
	b = strconv.AppendInt(append(b, ' '), int64(n.attempt), 10)
	b = strconv.AppendInt(append(b, ' '), n.generation, 10)
	if n.urgent {
		b = append(append(b, ' '), urgent...)
	}
	return string(b)
}

// hasNoTime reports whether numbers have no notBefore, without reading them.
func hasNoTime(numbers string) bool {
	_, rest, _ := strings.Cut(numbers, " ")
	_, rest, _ = strings.Cut(rest, " ")
	return strings.HasPrefix(rest, "- ")
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
		if *t, err = parseTime(part[1+i]); err != nil {
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
	t, err := parseTime(r.header.Get(name))
	r.bad = r.bad || err != nil
	return t
}

func (r *fields) pairs(name string) map[string]string {
	values, err := url.ParseQuery(r.header.Get(name))
	r.bad = r.bad || err != nil
	if len(values) == 0 {
		return nil
	}
	pairs := make(map[string]string, len(values))
	for key := range values {
		pairs[key] = values.Get(key)
	}
	return pairs
}

// appendTime writes a time as Unix seconds and nine digits; "-" is the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, '-')
	}
	return fmt.Appendf(b, "%d.%09d", t.Unix(), t.Nanosecond())
}

func formatTime(t time.Time) string { return string(appendTime(nil, t)) }

func parseTime(s string) (time.Time, error) {
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
