package outbox

import (
	"context"
	"time"
)

// transactionWatch logs that a transaction stays open.
type transactionWatch struct {
	limit  time.Duration
	looked time.Time
	logged time.Time
	id     string    // of the oldest open transaction
	since  time.Time // when it was seen first
}

// check asks now and then. What it cannot find out it leaves.
func (w *transactionWatch) check(ctx context.Context, r *Relay) {
	now := time.Now()
	if now.Sub(w.looked) < min(w.limit/4, 10*time.Second) {
		return
	}
	w.looked = now
	open, err := r.outbox.database.openTransaction(ctx, r.db)
	if err != nil {
		return
	}
	if open.id != w.id {
		w.id, w.since = open.id, now
	}
	if w.id != "" {
		open.age = max(open.age, now.Sub(w.since))
	}
	if open.age >= w.limit && now.Sub(w.logged) >= logPause {
		w.logged = now
		r.log.Warn("tocsin: a database transaction stays open: rows it wrote wait, and what was deleted cannot be vacuumed",
			"open_for", open.age, "session", open.session)
	}
}
