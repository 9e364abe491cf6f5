package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

// Dialect names the database that the host's transactions are in. The driver is the host's choice.
type Dialect string

// The dialects.
const (
	PostgreSQL Dialect = "PostgreSQL" // 13 or newer
	SQLite     Dialect = "SQLite"     // 3.35 or newer
	MySQL      Dialect = "MySQL"      // 8.0.13 or newer, MariaDB 10.3 or newer, with InnoDB
)

// database is what differs between the databases.
type database interface {
	// quote makes an identifier of a valid name.
	quote(name string) string
	// bind returns a query whose parameters are written "?" in the database's own form.
	bind(query string) string
	// now is an expression: milliseconds since 1970, by the database's clock.
	now() string
	// migrations are the statements of each step from an empty database to the present version. The last statement of
	// a step stores its version.
	migrations(t tables) [][]string
	// begin begins a migration, of which only one runs at a time; ends has the statements that end and abandon it.
	begin(ctx context.Context, c *sql.Conn) error
	ends() (commit, rollback string)
	// settings is the first statement of a relay's transaction; "" = none is needed.
	settings() string
	// installed is a query for the number of state tables there are: 0 or 1.
	installed(t tables) string
	// feed returns a feed that begins with the oldest row.
	feed(t tables) feed
	// openTransaction returns the oldest open transaction that has written, as far as the role may know.
	openTransaction(ctx context.Context, db *sql.DB) (openTransaction, error)
}

// begin begins a transaction of a relay.
func begin(ctx context.Context, db *sql.DB, d database, o *sql.TxOptions) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, o)
	if err != nil || d.settings() == "" {
		return tx, err
	}
	if _, err := tx.ExecContext(ctx, d.settings()); err != nil {
		_ = tx.Rollback()
		return nil, err
	}
	return tx, nil
}

// feed reads rows in the order in which they are to be handed over. After an error it is not used any more. One
// goroutine uses it.
type feed interface {
	// next returns rows that it has not returned before, none when there are none at the moment.
	next(ctx context.Context, db *sql.DB) ([]row, error)
	// remove deletes rows that next returned, at once or soon.
	remove(ctx context.Context, db *sql.DB, ids []int64) error
	// flush deletes what remove has left for later.
	flush(ctx context.Context, db *sql.DB) error
}

// openTransaction is a transaction that has written and is open.
type openTransaction struct {
	id      string        // "" = unknown
	age     time.Duration // 0 = none is open, or the role may not know
	session string        // whose it is, in words for the log; "" = unknown
}

func (d Dialect) database() (database, error) {
	switch d {
	case PostgreSQL:
		return postgreSQL{}, nil
	case SQLite:
		return sqlite{}, nil
	case MySQL:
		return mySQL{}, nil
	}
	return nil, configError(channel.CodeUnknown, "Dialect", fmt.Sprintf("%q is none", string(d)),
		"use outbox.PostgreSQL, outbox.SQLite or outbox.MySQL")
}

// Bounds of what a feed holds in memory.
const (
	maxRows  = 512
	maxBytes = 4 << 20 // of bodies; one row may exceed it
)
