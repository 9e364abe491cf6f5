// Package postgresdocs stores tenants' documents in two tables of a PostgreSQL database, for any number of processes.
//
//	err := postgresdocs.Migrate(ctx, pool, "")
//	docs, err := postgresdocs.New(ctx, pool, postgresdocs.Config{})
//
// A pooler in transaction mode, as pgbouncer, may be between: no prepared statement, no LISTEN and no session setting
// is used, whatever the pool's own mode is. Each Watch asks for changes by a counter, which numbers them in the order
// in which they are committed; so writers wait for each other from the last statement to the commit. A writer that
// loses its connection lets the others go on after ten seconds.
package postgresdocs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tocsin-go/tocsin/dispatcher/internal/watch"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// Config configures a Store. The zero value is ready for use.
type Config struct {
	Schema  string        // of the tables; "" = as the connection's search path finds them
	Timeout time.Duration // bounds a call whose ctx has no earlier deadline; 0 = 5 s
	Poll    time.Duration // how often each Watch asks for changes; 0 = 500 ms
}

const (
	defaultTimeout = 5 * time.Second
	defaultPoll    = 500 * time.Millisecond
	// exec sends a statement with its arguments at once, which leaves nothing behind in the server's session.
	exec = pgx.QueryExecModeExec
)

// Store is a manage.Documents in a database, of up to manage.MaxContent each. Close it before its pool.
type Store struct {
	pool    *pgxpool.Pool
	tables  tables
	timeout time.Duration
	poll    time.Duration
	scope   watch.Scope
}

var _ manage.Documents = (*Store)(nil)

// New returns the store in tables that Migrate has made; others are a *SchemaError. The pool remains the caller's.
func New(ctx context.Context, pool *pgxpool.Pool, c Config) (*Store, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	s := &Store{pool: pool, tables: tablesIn(c.Schema), timeout: c.Timeout, poll: c.Poll}
	if err := s.tables.checkVersion(ctx, pool); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the channels of Watch and waits for their goroutines. Calls after it are manage.ErrClosed.
func (s *Store) Close() { s.scope.Close() }

// validate checks a call.
func (s *Store) validate(ctx context.Context, tenant string) error {
	if err := manage.ValidateCall(ctx, tenant); err != nil {
		return err
	}
	if s.scope.Closed() {
		return manage.ErrClosed
	}
	return nil
}

// causeOf is what an error may show: what the server said, and of a failed connection its address, but not the settings
// of the connection.
func causeOf(err error) error {
	if failed, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return failed.Unwrap()
	}
	return err
}

// Get implements manage.Documents.
func (s *Store) Get(ctx context.Context, tenant string) (r manage.Record, err error) {
	if err := s.validate(ctx, tenant); err != nil {
		return r, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.pool.QueryRow(bounded, "SELECT revision, content FROM "+s.tables.documents+" WHERE tenant = $1 AND NOT deleted", exec, []byte(tenant)).
		Scan(&r.Revision, &r.Content)
	if errors.Is(err, pgx.ErrNoRows) {
		return manage.Record{}, manage.ErrNotFound
	}
	if err != nil {
		return manage.Record{}, storeError(ctx, "get", tenant, err)
	}
	return r, nil
}

// List implements manage.Documents.
func (s *Store) List(ctx context.Context, after string, limit int) ([]manage.Head, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.scope.Closed() {
		return nil, manage.ErrClosed
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.pool.Query(bounded, "SELECT tenant, revision FROM "+s.tables.documents+" WHERE NOT deleted AND tenant > $1 ORDER BY tenant LIMIT $2",
		exec, []byte(after), max(limit, 1))
	heads := []manage.Head{}
	if err == nil {
		heads, err = pgx.CollectRows(rows, readHead)
	}
	if err != nil {
		return nil, storeError(ctx, "list", "", err)
	}
	return heads, nil
}

func readHead(row pgx.CollectableRow) (h manage.Head, err error) {
	var tenant []byte
	err = row.Scan(&tenant, &h.Revision)
	h.Tenant = string(tenant)
	return h, err
}

// Watch implements manage.Documents. It goes on where it was when the server was not to be reached. A database that was
// put back from a backup is told as Resync.
func (s *Store) Watch(ctx context.Context) (<-chan manage.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	latest, err := s.latest(ctx)
	if err != nil {
		return nil, storeError(ctx, "watch", "", err)
	}
	changes, ok := watch.Poll(ctx, &s.scope, s.poll, func(ctx context.Context) (changes []manage.Change) {
		changes, latest = s.changes(ctx, latest)
		return changes
	})
	if !ok {
		return nil, manage.ErrClosed
	}
	return changes, nil
}

// latest is the number of the last change.
func (s *Store) latest(ctx context.Context) (latest int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.pool.QueryRow(ctx, "SELECT latest FROM "+s.tables.state, exec).Scan(&latest)
	return latest, err
}

// changes returns what has changed after a change, and the number of the last one. After an error that is nothing, and
// it is asked for again.
func (s *Store) changes(ctx context.Context, after int64) ([]manage.Change, int64) {
	latest, err := s.latest(ctx)
	if err != nil || latest == after {
		return nil, after
	}
	if latest < after {
		return []manage.Change{{Resync: true}}, latest
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT tenant, revision, change FROM "+s.tables.documents+" WHERE change > $1 ORDER BY change", exec, after)
	if err != nil {
		return nil, after
	}
	last := after
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c manage.Change, err error) {
		var tenant []byte
		err = row.Scan(&tenant, &c.Revision, &last)
		c.Tenant = string(tenant)
		return c, err
	})
	if err != nil {
		return nil, after
	}
	return all, max(last, latest)
}
