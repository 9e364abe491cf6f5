package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
)

// place says where the grants are.
type place struct {
	Dialect outbox.Dialect
	Driver  string
	Address string
	Prefix  string // of tables
}

func (p place) open() (*sql.DB, *outbox.Outbox, error) {
	box, err := outbox.New(p.Dialect, outbox.Options{Table: p.Prefix + "outbox"})
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open(p.Driver, p.Address)
	return db, box, err
}

// database is what the service uses, as its parent looks at it.
type database struct {
	*sql.DB
	place  place
	outbox *outbox.Outbox
	schema string // of PostgreSQL; "" = SQLite
}

// prepare makes the tables.
func prepare(ctx context.Context, folder, databaseURL string) (*database, error) {
	d := &database{place: place{Dialect: outbox.SQLite, Driver: "sqlite"}}
	query := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)"}, "_txlock": {"immediate"}}
	d.place.Address = "file:" + filepath.ToSlash(filepath.Join(folder, "grants.db")) + "?" + query.Encode()
	if databaseURL != "" {
		d.schema = fmt.Sprintf("outbox_example_%d", time.Now().UnixNano())
		d.place = place{Dialect: outbox.PostgreSQL, Driver: "pgx", Address: databaseURL, Prefix: d.schema + "."}
	}
	var err error
	if d.DB, d.outbox, err = d.place.open(); err != nil {
		return nil, err
	}
	if d.schema != "" {
		if _, err := d.ExecContext(ctx, "CREATE SCHEMA "+d.schema); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	_, err = d.ExecContext(ctx, "CREATE TABLE "+d.place.Prefix+"grants (id INTEGER PRIMARY KEY, person VARCHAR(100) NOT NULL)")
	if err == nil {
		err = d.outbox.Migrate(ctx, d.DB)
	}
	if err != nil {
		return nil, errors.Join(err, d.drop())
	}
	return d, nil
}

func (d *database) drop() error {
	var err error
	if d.schema != "" {
		_, err = d.ExecContext(context.Background(), "DROP SCHEMA "+d.schema+" CASCADE")
	}
	return errors.Join(err, d.Close())
}

// committed returns the ids of the grants' events.
func (d *database) committed(ctx context.Context) (map[string]bool, error) {
	rows, err := d.QueryContext(ctx, "SELECT id FROM "+d.place.Prefix+"grants")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]bool{}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all[grantName(id)] = true
	}
	return all, rows.Err()
}

func (d *database) waiting(ctx context.Context) (int, error) {
	s, err := d.outbox.Stats(ctx, d.DB)
	return s.Waiting, err
}

// waitForRows returns once the number of rows in the outbox is what enough says.
func (d *database) waitForRows(ctx context.Context, enough func(n int) bool) error {
	for {
		if n, err := d.waiting(ctx); err != nil || enough(n) {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
