package outbox

import (
	"context"
	"database/sql"
	"strconv"
	"time"
)

type sqlite struct{}

func (sqlite) quote(name string) string { return `"` + name + `"` }

func (sqlite) bind(query string) string { return query }

func (sqlite) now() string { return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)" }

func (s sqlite) migrations(t tables) [][]string {
	return [][]string{{
		// AUTOINCREMENT: an id is never used again, so that none is behind the feed's cursor.
		`CREATE TABLE ` + t.rows + ` (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	written   INTEGER NOT NULL DEFAULT (` + s.now() + `),
	format    INTEGER NOT NULL,
	operation INTEGER NOT NULL,
	at        INTEGER,
	name      BLOB,
	body      BLOB
)`,
		`CREATE TABLE ` + t.dead + ` (
	id        INTEGER PRIMARY KEY,
	written   INTEGER NOT NULL,
	died      INTEGER NOT NULL DEFAULT (` + s.now() + `),
	reason    TEXT NOT NULL,
	format    INTEGER NOT NULL,
	operation INTEGER NOT NULL,
	at        INTEGER,
	name      BLOB,
	body      BLOB
)`,
		`CREATE TABLE ` + t.state + ` (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL,
	holder  TEXT NOT NULL,
	ends    INTEGER NOT NULL
)`,
		`INSERT INTO ` + t.state + ` (one, version, holder, ends) VALUES (1, 1, '', 0)`,
	}}
}

// begin waits for the lock, also if the host's connections do not.
func (sqlite) begin(ctx context.Context, c *sql.Conn) error {
	for began := time.Now(); ; {
		_, err := c.ExecContext(ctx, "BEGIN IMMEDIATE")
		if err == nil || time.Since(began) > lockTime || !pause(ctx, lockPause) {
			return err
		}
	}
}

// How long a migration waits for the lock, and how long between two looks.
const (
	lockTime  = 10 * time.Second
	lockPause = 20 * time.Millisecond
)

func (sqlite) ends() (commit, rollback string) { return "COMMIT", "ROLLBACK" }

func (sqlite) settings() string { return "" }

func (sqlite) installed(t tables) string {
	from := "sqlite_master"
	if t.schema != "" {
		from = sqlite{}.quote(t.schema) + "." + from
	}
	return `SELECT count(*) FROM ` + from + ` WHERE type = 'table' AND name = '` + t.name + `'`
}

// openTransaction knows nothing: no other program can write meanwhile, which is noticed without an alarm.
func (sqlite) openTransaction(context.Context, *sql.DB) (openTransaction, error) {
	return openTransaction{}, nil
}

func (sqlite) feed(t tables) feed { return &cursorFeed{table: t.rows} }

// cursorFeed reads behind the last id it has read. Only one transaction writes at a time in SQLite, so ids are in the
// order of commits. It deletes seldom and beside its reading, because each deletion waits for the host's transactions,
// and they for it.
type cursorFeed struct {
	table    string
	last     int64      // the last id that was read
	handed   int64      // the last id that was handed over, and is to be deleted
	pending  int        // how many are to be deleted, those being deleted included
	deleting chan error // gets how the deletion ended; nil = none runs
	marked   int        // how many it deletes
	deleted  time.Time  // when the last one ended
}

// When a cursorFeed deletes: after so many rows, or after so long a time. It goes on while the file is locked, up to
// mostPending rows.
const (
	maxPending   = 2 * maxRows
	mostPending  = 32 * maxRows
	pendingPause = 250 * time.Millisecond
)

func (f *cursorFeed) next(ctx context.Context, db *sql.DB) ([]row, error) {
	if err := f.startDeleting(ctx, db); err != nil {
		return nil, err
	}
	p, err := readPage(ctx, db, `SELECT id, `+columns+` FROM `+f.table+` WHERE id > ? ORDER BY id LIMIT `+strconv.Itoa(maxRows), f.last)
	if err == nil && len(p.rows) > 0 {
		f.last = p.rows[len(p.rows)-1].id
	}
	return p.rows, err
}

// startDeleting deletes in the background what is to be deleted, if it is time. One deletion runs at a time.
func (f *cursorFeed) startDeleting(ctx context.Context, db *sql.DB) error {
	if f.deleting != nil {
		select {
		case err := <-f.deleting:
			if f.ended(err); err != nil && f.pending >= mostPending {
				return err
			}
		default:
			return nil
		}
	}
	if f.pending == 0 || f.pending < maxPending && time.Since(f.deleted) < pendingPause {
		return nil
	}
	f.deleting, f.marked = make(chan error, 1), f.pending
	go func(handed int64, done chan<- error) { done <- f.delete(ctx, db, handed) }(f.handed, f.deleting)
	return nil
}

func (f *cursorFeed) delete(ctx context.Context, db *sql.DB, handed int64) error {
	_, err := db.ExecContext(ctx, `DELETE FROM `+f.table+` WHERE id <= ?`, handed)
	return err
}

// ended notes how a deletion ended.
func (f *cursorFeed) ended(err error) {
	if f.deleting, f.deleted = nil, time.Now(); err == nil {
		f.pending -= f.marked
	}
}

// remove is called for rows in the order they were read, so one number says which may be deleted.
func (f *cursorFeed) remove(_ context.Context, _ *sql.DB, ids []int64) error {
	f.handed = max(f.handed, ids[len(ids)-1])
	f.pending += len(ids)
	return nil
}

func (f *cursorFeed) flush(ctx context.Context, db *sql.DB) error {
	if f.deleting != nil {
		f.ended(<-f.deleting)
	}
	if f.pending == 0 {
		return nil
	}
	return f.delete(ctx, db, f.handed)
}

// readPage reads the rows of a query in the form of SQLite and MySQL.
func readPage(ctx context.Context, db *sql.DB, query string, args ...any) (page, error) {
	var p page
	found, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return p, err
	}
	defer func() { _ = found.Close() }()
	for !p.full() && found.Next() {
		var r row
		if err := r.scan(found); err != nil {
			return p, err
		}
		p.add(r)
	}
	return p, found.Err()
}
