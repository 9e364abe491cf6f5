package sqlitequeue

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel/slack"
)

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
	if err := ctx.Err(); err != nil {
		return slack.Reference{}, false, err
	}
	const op = "look for a message"
	value, _, found, err := s.queue.record(ctx, op, kindReference, referenceKey(k))
	if err != nil || !found {
		return slack.Reference{}, false, err
	}
	r, err := decodeReference(value)
	return r, err == nil, storeError(op, err)
}

// Put implements slack.References.
func (s slackReferences) Put(ctx context.Context, k slack.Key, r slack.Reference) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.queue.putRecord(ctx, "remember a message", kindReference, referenceKey(k), encodeReference(r), s.ttl)
}

// referenceKey keeps the parts apart, whatever is in them.
func referenceKey(k slack.Key) (b []byte) {
	for _, part := range [...]string{k.Tenant, k.Route, k.Channel, k.Subject} {
		b = appendString(b, part)
	}
	return b
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
