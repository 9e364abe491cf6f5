package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// SchemaError says that the tables are not of the version that this program knows.
type SchemaError struct {
	Table string // that of the version
	Found int    // 0 = there are no tables
	Known int
}

func (e *SchemaError) Error() string {
	if e.Found > e.Known {
		return fmt.Sprintf("outbox: table %s has version %d, this program knows %d: run a newer version of it", e.Table, e.Found, e.Known)
	}
	return fmt.Sprintf("outbox: table %s has version %d, this program needs %d: call Migrate, or run Migrations", e.Table, e.Found, e.Known)
}

// Migrations returns the scripts that make the tables, for hosts that have their own way to run them: the first for an
// empty database, each further one from one version to the next. A released script never changes. The statements of a
// script end with ";".
func (o *Outbox) Migrations() []string {
	var all []string
	for _, step := range o.database.migrations(o.tables) {
		all = append(all, strings.Join(step, ";\n")+";\n")
	}
	return all
}

// Migrate makes the tables, or brings them to the version of this program, with the rights to do so. Several processes
// may call it at once. Tables of a newer version are a *SchemaError and are left alone. When there is nothing to do, it
// only reads.
func (o *Outbox) Migrate(ctx context.Context, db *sql.DB) error {
	steps := o.database.migrations(o.tables)
	version, err := o.version(ctx, db)
	if err != nil {
		return fmt.Errorf("outbox: migrate: %w", err)
	}
	if version == len(steps) {
		return nil
	}
	if version > len(steps) {
		return &SchemaError{Table: o.tables.state, Found: version, Known: len(steps)}
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("outbox: migrate: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := o.migrate(ctx, c, steps); err != nil {
		return fmt.Errorf("outbox: migrate: %w", err)
	}
	return nil
}

// queryer is a *sql.DB or a *sql.Conn.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version is that of the tables; 0 = there are none.
func (o *Outbox) version(ctx context.Context, q queryer) (version int, err error) {
	if err := q.QueryRowContext(ctx, o.database.installed(o.tables)).Scan(&version); err != nil || version == 0 {
		return 0, err
	}
	err = q.QueryRowContext(ctx, `SELECT version FROM `+o.tables.state+` WHERE one = 1`).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) { // MySQL: another process is about to write it
		return 0, nil
	}
	return version, err
}

func (o *Outbox) migrate(ctx context.Context, c *sql.Conn, steps [][]string) error {
	commit, rollback := o.database.ends()
	err := o.database.begin(ctx, c)
	version := 0
	if err == nil {
		version, err = o.version(ctx, c) // another process may have done it meanwhile
	}
	for i := version; i < len(steps) && err == nil; i++ {
		for _, statement := range steps[i] {
			if _, err = c.ExecContext(ctx, statement); err != nil {
				break
			}
		}
	}
	if err == nil {
		_, err = c.ExecContext(ctx, commit)
	}
	if err != nil {
		abandon(ctx, c, rollback)
	}
	return err
}

// abandon ends what a connection has begun, or removes it from the pool.
func abandon(ctx context.Context, c *sql.Conn, rollback string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if _, err := c.ExecContext(ctx, rollback); err != nil {
		_ = c.Raw(func(any) error { return driver.ErrBadConn })
	}
}
