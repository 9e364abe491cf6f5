package postgresqueue

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// database sends statements. It uses nothing that outlasts a transaction, so that a pooler may give each transaction
// another connection: no prepared statements, no session settings, no advisory locks of a session, no LISTEN.
type database struct {
	pool    *pgxpool.Pool
	schema  string        // as Options.Schema
	timeout time.Duration // of a round trip
	// abandoned is after how many milliseconds the server ends a transaction that does not go on.
	abandoned string
	readers   chan struct{} // has for those who read: the writer and the heartbeat keep a connection each
	texts     sync.Map      // statements by their constants
}

// reserved is how many connections the writer and the heartbeat need.
const reserved = 2

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func openDatabase(ctx context.Context, config *pgxpool.Config, o Options) (*database, error) {
	config = config.Copy()
	// Statements are described once per connection and sent unnamed, so that results come in binary form without a
	// prepared statement.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.ConnConfig.StatementCacheCapacity = 0
	config.ConnConfig.DescriptionCacheCapacity = 256
	config.MaxConns = max(config.MaxConns, reserved+2)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &database{
		pool: pool, schema: o.Schema, timeout: o.Timeout, abandoned: strconv.FormatInt((o.Lease / 2).Milliseconds(), 10),
		readers: make(chan struct{}, config.MaxConns-reserved),
	}, nil
}

// text is a statement for this database's schema. Constants have it as tocsin.
func (d *database) text(constant string) string {
	if text, ok := d.texts.Load(constant); ok {
		return text.(string) //nolint:forcetypeassert // nothing else is stored
	}
	text := strings.ReplaceAll(constant, "tocsin.", pgx.Identifier{d.schema}.Sanitize()+".")
	d.texts.Store(constant, text)
	return text
}

// batch is statements that go to the server together. Without BEGIN they are one transaction.
type batch struct {
	pgx.Batch
	db *database
}

// settings decide which plans are made. The tables change faster than their statistics, and every statement here is
// meant to use an index: what the planner takes for cheap in a table that it believes empty takes seconds in a full
// one.
const settings = `SELECT set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
	set_config('enable_material', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`

// abandoned ends a transaction whose process is gone or cut off, and with it its locks, before its lease ends.
const abandoned = `SELECT set_config('idle_in_transaction_session_timeout', $1, true)`

// batch is a transaction of one round trip, and opening begins one of several.
func (d *database) batch() *batch {
	b := &batch{db: d}
	b.add(settings)
	return b
}

func (d *database) opening() *batch {
	b := &batch{db: d}
	b.add("BEGIN")
	b.add(settings)
	b.add(abandoned, d.abandoned)
	return b
}

// add adds a statement.
func (b *batch) add(text string, args ...any) *pgx.QueuedQuery {
	return b.Queue(b.db.text(text), args...)
}

// rows adds a query, whose rows f reads.
func (b *batch) rows(f func(pgx.Rows) error, text string, args ...any) {
	b.add(text, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := f(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// append adds what another batch has.
func (b *batch) append(other *batch) *batch {
	b.QueuedQueries = append(b.QueuedQueries, other.QueuedQueries...)
	return b
}

// send sends a batch on a connection and reads the results.
func (d *database) send(ctx context.Context, conn *pgxpool.Conn, b *batch) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return conn.SendBatch(ctx, &b.Batch).Close()
}

// acquire takes a connection of those that are kept for the writer and the heartbeat.
func (d *database) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.pool.Acquire(ctx)
}

// run sends a batch as one transaction, in the place of the writer or the heartbeat.
func (d *database) run(ctx context.Context, b *batch) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return d.send(ctx, conn, b)
}

// read sends a batch as one transaction, for a caller who waits.
func (d *database) read(ctx context.Context, b *batch) error {
	select {
	case d.readers <- struct{}{}:
		defer func() { <-d.readers }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := d.run(ctx, b)
	if ended := ctx.Err(); ended != nil && err != nil {
		return ended
	}
	return err
}

// within runs f in a transaction of several round trips. An error of f rolls it back.
func (d *database) within(ctx context.Context, f func(send func(*batch) error) error) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err = d.send(ctx, conn, d.opening()); err == nil {
		err = f(func(b *batch) error { return d.send(ctx, conn, b) })
	}
	last := &batch{db: d}
	if err != nil {
		last.add("ROLLBACK")
		_ = d.send(ctx, conn, last) // the first error is the one that counts, and a broken connection is thrown away
		return err
	}
	last.add("COMMIT")
	return d.send(ctx, conn, last)
}

func (d *database) close() { d.pool.Close() }
