package postgresqueue

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/stored"
)

// Kinds of records: keys with a value and an end.
const (
	kindDone int16 = 1 // a key of dedup that was committed, or is claimed
	kindMail int16 = 2 // who has got a mail
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

// progressTTL is how long it is known who has got a mail: longer than anybody delivers one again.
const progressTTL = 30 * 24 * time.Hour

// mailProgress keeps in the queue's database who has got a mail.
type mailProgress struct{ queue *Queue }

// MailProgress returns a store for mail channels in the queue's database, so that recipients who have got a mail do not
// get it again, also after a restart. What is known of a mail is kept for 30 days. Any number of channels may share it.
// After Close its calls return ErrClosed.
func (q *Queue) MailProgress() email.Progress { return mailProgress{q} }

// Get implements email.Progress.
func (p mailProgress) Get(ctx context.Context, k email.Key) ([]byte, bool, error) {
	value, found, err := p.queue.record(ctx, "look for a mail", kindMail, stored.Key(k.Tenant, k.Route, k.Delivery))
	return value, found, err
}

// Put implements email.Progress.
func (p mailProgress) Put(ctx context.Context, k email.Key, state []byte) error {
	return p.queue.putRecord(ctx, "remember a mail", kindMail, stored.Key(k.Tenant, k.Route, k.Delivery), state, progressTTL)
}
