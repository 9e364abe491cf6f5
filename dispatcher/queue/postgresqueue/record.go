package postgresqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/slack"
)

// Kinds of records: keys with a value and an end.
const (
	kindDone      int16 = 1 // a key of dedup that was committed, or is claimed
	kindReference int16 = 2
	kindMail      int16 = 3 // who has got a mail
)

// putRecord stores a value until ttl from now, in place of one that is there.
func (q *Queue) putRecord(ctx context.Context, op string, kind int16, key, value []byte, ttl time.Duration) error {
	return q.send(ctx, op, func(b *batch) {
		b.add(`INSERT INTO tocsin.record (kind, key, value, ends) VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond')
			ON CONFLICT (kind, key) DO UPDATE SET value = EXCLUDED.value, ends = EXCLUDED.ends`, kind, key, value, microseconds(ttl))
	})
}

// microseconds is a duration for the database, clipped to a century: a time beyond its last one is an error there.
func microseconds(d time.Duration) int64 { return min(d, 100*365*24*time.Hour).Microseconds() }

// send sends a batch as one transaction of its own.
func (q *Queue) send(ctx context.Context, op string, fill func(b *batch)) error {
	if err := q.over(ctx); err != nil {
		return err
	}
	b := q.store.db.batch()
	fill(b)
	return storeError(op, q.store.db.read(ctx, b))
}

// recordKey keeps the parts apart, whatever is in them.
func recordKey(parts ...string) (b []byte) {
	for _, part := range parts {
		b = appendString(b, part)
	}
	return b
}

// record returns a value; found is false when there is none, or it has ended.
func (q *Queue) record(ctx context.Context, op string, kind int16, key []byte) (value []byte, found bool, err error) {
	err = q.send(ctx, op, func(b *batch) {
		b.rows(func(row pgx.Rows) error {
			found = true
			return row.Scan(&value)
		}, "SELECT value FROM tocsin.record WHERE kind = $1 AND key = $2 AND ends > clock_timestamp()", kind, key)
	})
	return value, found, err
}

// DefaultReferenceTTL is how long a reference is kept after the last news when nothing else is said.
const DefaultReferenceTTL = 30 * 24 * time.Hour

// slackReferences keeps references to messages in the queue's database.
type slackReferences struct {
	queue *Queue
	ttl   time.Duration
}

// SlackReferences returns a store for slack bots in the queue's database, so that news about a subject reaches its thread
// from whatever process. A reference is kept for ttl after the last news; 0 or less = DefaultReferenceTTL, 30 days. Any
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
	value, found, err := s.queue.record(ctx, op, kindReference, recordKey(k.Tenant, k.Route, k.Channel, k.Subject))
	if err != nil || !found {
		return slack.Reference{}, false, err
	}
	r, err := decodeReference(value)
	return r, err == nil, storeError(op, err)
}

// Put implements slack.References.
func (s slackReferences) Put(ctx context.Context, k slack.Key, r slack.Reference) error {
	return s.queue.putRecord(ctx, "remember a message", kindReference, recordKey(k.Tenant, k.Route, k.Channel, k.Subject), encodeReference(r), s.ttl)
}

// referenceFormat begins the stored form of a reference: 1 is whether it has a time, that time in nanoseconds, TS, and
// the delivery.
const referenceFormat = 1

var errReference = errors.New("a stored reference is damaged")

func encodeReference(r slack.Reference) []byte {
	b := []byte{referenceFormat, 0}
	at := int64(0)
	if stamped := stamp(r.Time); stamped != nil {
		b[1], at = 1, *stamped
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	return appendString(appendString(b, r.TS), r.Delivery)
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
	r.TS, ok1 = cutString(&b)
	r.Delivery, ok2 = cutString(&b)
	if !ok1 || !ok2 || len(b) > 0 {
		return slack.Reference{}, errReference
	}
	return r, nil
}

// progressTTL is how long it is known who has got a mail: longer than anybody delivers one again.
const progressTTL = 30 * 24 * time.Hour

// mailProgress keeps in the queue's database who has got a mail.
type mailProgress struct{ queue *Queue }

// MailProgress returns a store for mail channels in the queue's database, so that recipients who have got a mail do not get
// it again, also after a restart. What is known of a mail is kept for 30 days. Any number of channels may share it.
// After Close its calls return ErrClosed.
func (q *Queue) MailProgress() email.Progress { return mailProgress{q} }

// Get implements email.Progress.
func (p mailProgress) Get(ctx context.Context, k email.Key) ([]byte, bool, error) {
	value, found, err := p.queue.record(ctx, "look for a mail", kindMail, recordKey(k.Tenant, k.Route, k.Delivery))
	return value, found, err
}

// Put implements email.Progress.
func (p mailProgress) Put(ctx context.Context, k email.Key, state []byte) error {
	return p.queue.putRecord(ctx, "remember a mail", kindMail, recordKey(k.Tenant, k.Route, k.Delivery), state, progressTTL)
}
