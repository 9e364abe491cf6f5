package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Stats is what an Outbox holds.
type Stats struct {
	Waiting     int           // rows; with SQLite for up to 250 ms also those that were handed over
	Oldest      time.Duration // age of the oldest of them, by the database's clock; 0 = none waits
	DeadLetters int
	Leader      string // the process that relays, as host/pid/random; "" = none does
	// OpenTransaction is the age of the oldest open transaction that has written, on the whole server, as far as the
	// role may know: pg_monitor of PostgreSQL, PROCESS of MySQL. 0 = there is none, it may not know, or the database is
	// SQLite.
	OpenTransaction time.Duration
}

// Stats counts. It takes longer the more rows there are: ask it about once a minute, and not for each request.
func (o *Outbox) Stats(ctx context.Context, db *sql.DB) (Stats, error) {
	var s Stats
	var oldest, left int64
	err := db.QueryRowContext(ctx, `SELECT count(*), COALESCE(`+o.database.now()+` - min(written), 0) FROM `+o.tables.rows).
		Scan(&s.Waiting, &oldest)
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT count(*) FROM `+o.tables.dead).Scan(&s.DeadLetters)
	}
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT holder, ends - `+o.database.now()+` FROM `+o.tables.state+` WHERE one = 1`).Scan(&s.Leader, &left)
	}
	if err != nil {
		return Stats{}, fmt.Errorf("outbox: stats: %w", o.explain(ctx, db, err))
	}
	s.Oldest = time.Duration(max(oldest, 0)) * time.Millisecond
	if left <= 0 {
		s.Leader = ""
	}
	if open, err := o.database.openTransaction(ctx, db); err == nil {
		s.OpenTransaction = open.age
	}
	return s, nil
}

// LateError says that rows wait for too long.
type LateError struct {
	Oldest  time.Duration // age of the oldest row
	Limit   time.Duration
	Waiting int
	Leader  string // the process that relays; "" = none does
}

func (e *LateError) Error() string {
	why := fmt.Sprintf("%s relays: look for what the dispatcher refuses in its log", e.Leader)
	if e.Leader == "" {
		why = "no process relays: run a Relay"
	}
	return fmt.Sprintf("outbox: the oldest of %d rows waits for %s, more than %s; %s", e.Waiting, e.Oldest, e.Limit, why)
}

// Check returns a *LateError when the oldest row waits for longer than limit, or why that cannot be found out: for
// health checks, in any process that may read the tables.
func (o *Outbox) Check(ctx context.Context, db *sql.DB, limit time.Duration) error {
	s, err := o.Stats(ctx, db)
	if err != nil {
		return err
	}
	if s.Oldest > limit {
		return &LateError{Oldest: s.Oldest, Limit: limit, Waiting: s.Waiting, Leader: s.Leader}
	}
	return nil
}
