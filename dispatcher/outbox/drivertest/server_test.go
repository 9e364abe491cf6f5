package drivertest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tocsin-go/tocsin/dispatcher/internal/testserver"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
)

var (
	postgreSQL = testserver.PostgreSQL()
	mariaDB    = testserver.MariaDB()
	pooler     = testserver.PgBouncer(func(tb testing.TB) string { return postgreSQL.Address(tb, ping("pgx")) })
)

func stopServers() {
	pooler.Stop()
	postgreSQL.Stop()
	mariaDB.Stop()
}

// ping connects once.
func ping(driver string) func(address string) error {
	return func(address string) error {
		db, err := sql.Open(driver, address)
		if err != nil {
			return err
		}
		defer db.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return db.PingContext(ctx)
	}
}

// place is a database, or a part of one, that belongs to one test.
type place struct {
	dialect outbox.Dialect
	driver  string
	address string // for sql.Open
	schema  string // of the tables; "" = where the connection makes them
}

func (p place) open(tb testing.TB) *sql.DB {
	tb.Helper()
	db, err := sql.Open(p.driver, p.address)
	require.NoError(tb, err)
	db.SetMaxOpenConns(40)
	db.SetMaxIdleConns(20)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

func newName() string { return "t" + strings.ToLower(rand.Text()[:12]) }

// on runs a test on each database.
func on(t *testing.T, test func(t *testing.T, p place)) {
	for _, at := range []struct {
		name string
		make func(tb testing.TB) place
	}{{"PostgreSQL", onPostgreSQL}, {"SQLite", onSQLite}, {"MySQL", onMySQL}} {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			test(t, at.make(t))
		})
	}
}

// onPostgreSQL makes a schema.
func onPostgreSQL(tb testing.TB) place {
	tb.Helper()
	p := place{outbox.PostgreSQL, "pgx", postgreSQL.Address(tb, ping("pgx")), newName()}
	p.execute(tb, "CREATE SCHEMA "+p.schema, "DROP SCHEMA "+p.schema+" CASCADE")
	return p
}

// throughPooler makes a schema and reaches it through pgbouncer in transaction mode. Mode is how pgx runs queries: its
// default uses prepared statements, which such a pooler does not keep.
func throughPooler(tb testing.TB, mode string) place {
	tb.Helper()
	p := onPostgreSQL(tb)
	p.address = pooler.Address(tb, ping("pgx")) + "&default_query_exec_mode=" + mode
	return p
}

// onMySQL makes a database.
func onMySQL(tb testing.TB) place {
	tb.Helper()
	p := place{outbox.MySQL, "mysql", mariaDB.Address(tb, ping("mysql")), ""}
	name := newName()
	p.execute(tb, "CREATE DATABASE "+name, "DROP DATABASE "+name)
	p.address += name
	return p
}

// onSQLite makes a file.
func onSQLite(tb testing.TB) place {
	tb.Helper()
	query := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)"}, "_txlock": {"immediate"}}
	return place{outbox.SQLite, "sqlite", "file:" + filepath.ToSlash(filepath.Join(tb.TempDir(), "host.db")) + "?" + query.Encode(), ""}
}

// execute runs a statement, and another one at the end of the test.
func (p place) execute(tb testing.TB, now, later string) {
	tb.Helper()
	db, err := sql.Open(p.driver, p.address)
	require.NoError(tb, err)
	_, err = db.ExecContext(tb.Context(), now)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), later)
		require.NoError(tb, err)
		require.NoError(tb, db.Close())
	})
}
