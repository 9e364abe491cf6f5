package postgresdocs

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// SchemaError says that the tables are not of the version that this program knows.
type SchemaError struct {
	Table string // that of the version
	Found int    // 0 = there are no tables
	Known int
}

func (e *SchemaError) Error() string {
	if e.Found > e.Known {
		return fmt.Sprintf("postgresdocs: table %s has version %d, this program knows %d: run a newer version of it", e.Table, e.Found, e.Known)
	}
	return fmt.Sprintf("postgresdocs: table %s has version %d, this program needs %d: call Migrate, or run Migrations", e.Table, e.Found, e.Known)
}

// tables are the names of the tables, quoted.
type tables struct{ documents, state string }

func tablesIn(schema string) tables {
	name := func(table string) string {
		if schema == "" {
			return pgx.Identifier{table}.Sanitize()
		}
		return pgx.Identifier{schema, table}.Sanitize()
	}
	return tables{documents: name("tocsin_documents"), state: name("tocsin_documents_state")}
}

// migrations are the steps from one version to the next. A released step never changes.
//
// change is the number of the latest change of a document among all changes: latest counts them, in the order in which
// they are committed. A deleted document stays as a row, so that its revisions go on.
func (t tables) migrations() [][]string {
	return [][]string{{
		`CREATE TABLE ` + t.documents + ` (
	tenant   bytea PRIMARY KEY,
	revision bigint NOT NULL,
	deleted  boolean NOT NULL,
	content  bytea NOT NULL,
	change   bigint NOT NULL
)`,
		`CREATE INDEX ON ` + t.documents + ` (change)`,
		`CREATE INDEX ON ` + t.documents + ` (tenant, revision) WHERE NOT deleted`,
		`CREATE TABLE ` + t.state + ` (
	one     integer PRIMARY KEY CHECK (one = 1),
	version integer NOT NULL,
	latest  bigint NOT NULL
)`,
		`INSERT INTO ` + t.state + ` VALUES (1, 1, 0)`,
	}}
}

// Migrations returns the scripts that make the tables in a schema, "" = the first of the connection's search path, for
// hosts that have their own way to run them: the first for an empty database, each further one from one version to the
// next. A released script never changes.
func Migrations(schema string) []string {
	var all []string
	for _, step := range tablesIn(schema).migrations() {
		all = append(all, strings.Join(step, ";\n")+";\n")
	}
	return all
}

// Migrate makes the tables, or brings them to the version of this program, with the rights to do so. Several processes
// may call it at once. Tables of a newer version are a *SchemaError and are left alone. When there is nothing to do, it
// only reads.
func Migrate(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	t := tablesIn(schema)
	err := t.checkVersion(ctx, pool)
	if e, ok := err.(*SchemaError); !ok || e.Found > e.Known { //nolint:errorlint // of this package, not wrapped
		return err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Until the end of the transaction; the number says nothing but is this package's own.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", exec, int64(0x746f6373696e646f)); err != nil {
			return err
		}
		version, err := t.version(ctx, tx) // another process may have done it meanwhile
		if err != nil {
			return err
		}
		steps := t.migrations()
		for _, step := range steps[min(version, len(steps)):] {
			for _, statement := range step {
				if _, err := tx.Exec(ctx, statement, exec); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return storeError(ctx, "migrate", "", err)
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// version is that of the tables; 0 = there are none.
func (t tables) version(ctx context.Context, q querier) (version int, err error) {
	var there bool
	// By pg_class, so that the session looks at it anew: to_regclass alone may answer from what was there before the
	// transaction waited for another one.
	const query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass($1))"
	if err := q.QueryRow(ctx, query, exec, t.state).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, "SELECT version FROM "+t.state, exec).Scan(&version)
	return version, err
}

// checkVersion reports tables of another version than this program's as a *SchemaError.
func (t tables) checkVersion(ctx context.Context, pool *pgxpool.Pool) error {
	version, err := t.version(ctx, pool)
	if err != nil {
		return storeError(ctx, "open", "", err)
	}
	if known := len(t.migrations()); version != known {
		return &SchemaError{Table: t.state, Found: version, Known: known}
	}
	return nil
}

// storeError makes err a *manage.StoreError unless it is nil or ctx's.
func storeError(ctx context.Context, op, tenant string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return &manage.StoreError{Op: op, Tenant: tenant, Err: causeOf(err)}
}
