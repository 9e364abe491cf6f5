package sqlitequeue

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// Kinds of records: keys with a value and an end.
const (
	kindDone      int64 = 1 // a key of dedup that was committed
	kindReference int64 = 2
	kindMail      int64 = 3 // who has got a mail
)

// putRecord stores a value until ttl from now, in place of one that is there.
func (q *Queue) putRecord(ctx context.Context, op string, kind int64, key, value []byte, ttl time.Duration) error {
	return q.write(ctx, op, func(t *tx) error {
		_, err := t.exec("INSERT OR REPLACE INTO record (kind, key, value, ends) VALUES (?, ?, ?, ?)",
			kind, key, blobOrNull(value), later(t.now, ttl))
		t.records++
		return err
	})
}

// removeEnded removes some of the records that have ended, the earliest first, and reports how many.
func (t *tx) removeEnded(limit int64) (int64, error) {
	return t.exec("DELETE FROM record WHERE (kind, key) IN (SELECT kind, key FROM record WHERE ends <= ? ORDER BY ends LIMIT ?)",
		t.now, limit)
}

// endedPerRecord is how many ended records are removed for each one that is stored: more than one, so that they become
// fewer however fast new ones come.
const endedPerRecord = 2

// record returns a value and when it ends; found is false when there is none, or it has ended.
func (q *Queue) record(ctx context.Context, op string, kind int64, key []byte) (value []byte, ends time.Time, found bool, err error) {
	err = q.store.readers.records.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			value, ends, found = blob(v[0]), time.Unix(0, integer(v[1])), true
			return false
		}, "SELECT value, ends FROM record WHERE kind = ? AND key = ? AND ends > ?", kind, key, q.durable.Now())
	})
	return value, ends, found, storeError(op, err)
}

// DefaultReferenceTTL is how long a reference is kept after the last news when nothing else is said.
const DefaultReferenceTTL = 30 * 24 * time.Hour

// slackReferences keeps references to messages in the queue's file.
type slackReferences struct {
	queue *Queue
	ttl   time.Duration
}

// SlackReferences returns a store for slack bots in the queue's file, so that news about a subject reaches its thread
// also after a restart. A reference is kept for ttl after the last news; 0 or less = DefaultReferenceTTL, 30 days. Any
// number of bots may share it. After Close its calls return ErrClosed.
func (q *Queue) SlackReferences(ttl time.Duration) slack.References {
	if ttl <= 0 {
		ttl = DefaultReferenceTTL
	}
	return slackReferences{q, ttl}
}

// Get implements slack.References.
func (s slackReferences) Get(ctx context.Context, k slack.Key) (slack.Reference, bool, error) {
	const op = "look for a message"
	value, _, found, err := s.queue.record(ctx, op, kindReference, stored.Key(k.Tenant, k.Route, k.Channel, k.Subject))
	if err != nil || !found {
		return slack.Reference{}, false, err
	}
	r, err := decodeReference(value)
	return r, err == nil, storeError(op, err)
}

// Put implements slack.References.
func (s slackReferences) Put(ctx context.Context, k slack.Key, r slack.Reference) error {
	return s.queue.putRecord(ctx, "remember a message", kindReference, stored.Key(k.Tenant, k.Route, k.Channel, k.Subject), encodeReference(r), s.ttl)
}

// referenceFormat begins the stored form of a reference: 1 is whether it has a time, that time in nanoseconds, TS, and
// the delivery.
const referenceFormat = 1

var errReference = errors.New("a stored reference is damaged")

func encodeReference(r slack.Reference) []byte {
	b := []byte{referenceFormat, 0}
	at := int64(0)
	if stamped, ok := stamp(r.Time).(int64); ok {
		b[1], at = 1, stamped
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	return stored.AppendText(stored.AppendText(b, r.TS), r.Delivery)
}

func decodeReference(b []byte) (r slack.Reference, err error) {
	if len(b) < 10 || b[0] != referenceFormat || b[1] > 1 {
		return r, errReference
	}
	if b[1] == 1 {
		r.Time = time.Unix(0, int64(binary.BigEndian.Uint64(b[2:])))
	}
	b = b[10:]
	var ok1, ok2 bool
	r.TS, ok1 = stored.CutText(&b)
	r.Delivery, ok2 = stored.CutText(&b)
	if !ok1 || !ok2 || len(b) > 0 {
		return slack.Reference{}, errReference
	}
	return r, nil
}

// progressTTL is how long it is known who has got a mail: longer than anybody delivers one again.
const progressTTL = 30 * 24 * time.Hour

// mailProgress keeps in the queue's file who has got a mail.
type mailProgress struct{ queue *Queue }

// MailProgress returns a store for mail channels in the queue's file, so that recipients who have got a mail do not get
// it again, also after a restart. What is known of a mail is kept for 30 days. Any number of channels may share it.
// After Close its calls return ErrClosed.
func (q *Queue) MailProgress() email.Progress { return mailProgress{q} }

// Get implements email.Progress.
func (p mailProgress) Get(ctx context.Context, k email.Key) ([]byte, bool, error) {
	value, _, found, err := p.queue.record(ctx, "look for a mail", kindMail, stored.Key(k.Tenant, k.Route, k.Delivery))
	return value, found, err
}

// Put implements email.Progress.
func (p mailProgress) Put(ctx context.Context, k email.Key, state []byte) error {
	return p.queue.putRecord(ctx, "remember a mail", kindMail, stored.Key(k.Tenant, k.Route, k.Delivery), state, progressTTL)
}
