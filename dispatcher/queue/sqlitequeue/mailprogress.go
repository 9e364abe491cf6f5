package sqlitequeue

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/channel/email"
)

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
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	value, _, found, err := p.queue.record(ctx, "look for a mail", kindMail, mailKey(k))
	return value, found, err
}

// Put implements email.Progress.
func (p mailProgress) Put(ctx context.Context, k email.Key, state []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.queue.putRecord(ctx, "remember a mail", kindMail, mailKey(k), state, progressTTL)
}

// mailKey keeps the parts apart, whatever is in them.
func mailKey(k email.Key) (b []byte) {
	for _, part := range [...]string{k.Tenant, k.Route, k.Delivery} {
		b = appendString(b, part)
	}
	return b
}
