package outbox

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// lease is the right to relay, which one process holds at a time: a row with the holder's name and the time at which
// the lease ends by the database's clock. No session holds anything, so it works through a pooler in transaction mode.
type lease struct {
	outbox *Outbox
	db     *sql.DB
	holder string // of this Relay and of no other
	length time.Duration

	mu   sync.Mutex
	ends time.Time // with a monotonic reading; zero = not held
}

// acquire takes the lease if it is free or this holder's. Tables of another version are a *SchemaError.
func (l *lease) acquire(ctx context.Context) (bool, error) {
	o := l.outbox
	var version int
	var holder string
	var left int64
	err := l.db.QueryRowContext(ctx, `SELECT version, holder, ends - `+o.database.now()+` FROM `+o.tables.state+` WHERE one = 1`).
		Scan(&version, &holder, &left)
	if err != nil {
		return false, o.explain(ctx, l.db, err)
	}
	if known := len(o.database.migrations(o.tables)); version != known {
		return false, &SchemaError{Table: o.tables.state, Found: version, Known: known}
	}
	if holder != l.holder && left > 0 {
		return false, nil
	}
	return l.renew(ctx)
}

// explain says that there are no tables, if that is why a query failed.
func (o *Outbox) explain(ctx context.Context, db *sql.DB, err error) error {
	if version, failed := o.version(ctx, db); failed == nil && version == 0 {
		return &SchemaError{Table: o.tables.state, Known: len(o.database.migrations(o.tables))}
	}
	return err
}

// renew takes the lease, or takes it for longer, and reports whether it is held. The end is counted from when the
// statement was sent, and a tenth before that of the database, so that this holder stops before another begins.
func (l *lease) renew(ctx context.Context) (bool, error) {
	o := l.outbox
	now, sent := o.database.now(), time.Now()
	result, err := l.db.ExecContext(ctx, o.database.bind(`UPDATE `+o.tables.state+` SET holder = ?, ends = `+now+` + ?
		WHERE one = 1 AND (holder = ? OR ends <= `+now+`)`), l.holder, l.length.Milliseconds(), l.holder)
	if err != nil {
		return false, err
	}
	changed, err := result.RowsAffected()
	if err != nil || changed == 0 {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = sent.Add(l.length - l.length/10)
	return true, nil
}

// left is for how long the lease is held, by the clock that does not stop and by the one that does not sleep.
func (l *lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return min(l.ends.Sub(now), l.ends.Round(0).Sub(now.Round(0)))
}

// errLeaseLost is why a relay stops in the middle.
var errLeaseLost = errors.New("the lease has ended")

// hold returns a context that ends when the lease does, and keeps the lease until end is called, which releases it.
func (l *lease) hold(ctx context.Context) (held context.Context, end func()) {
	held, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(l.left(), func() { cancel(errLeaseLost) })
	var keeper sync.WaitGroup
	keeper.Go(func() {
		every := l.length / 3
		for pause(held, every) {
			switch ok, err := l.renew(held); {
			case err != nil:
				every = l.length / 15
			case ok:
				every = l.length / 3
				timer.Reset(l.left())
			default:
				cancel(errLeaseLost)
			}
		}
	})
	return held, func() {
		timer.Stop()
		cancel(nil)
		keeper.Wait()
		l.release(ctx)
	}
}

// release ends the lease at once. If that fails, it ends by itself.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	_, _ = l.db.ExecContext(ctx, l.outbox.database.bind(`UPDATE `+l.outbox.tables.state+` SET ends = 0 WHERE one = 1 AND holder = ?`), l.holder)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = time.Time{}
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
