package postgresqueue

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/internal/testserver"
)

var (
	postgreSQL = testserver.PostgreSQL()
	pooler     = testserver.PgBouncer(serverURL)
)

// serverURL is that of the server of the tests, and poolerURL that of a pooler in transaction mode in front of it.
func serverURL(tb testing.TB) string { tb.Helper(); return postgreSQL.Address(tb, ping) }
func poolerURL(tb testing.TB) string { tb.Helper(); return pooler.Address(tb, ping) }

func stopServers() {
	pooler.Stop()
	postgreSQL.Stop()
}

// ping connects once.
func ping(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return execute(ctx, url, "SELECT 1")
}

// execute runs statements on a connection of their own.
func execute(ctx context.Context, url, text string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
	return err
}

// poolConfig is for a pool on a server.
func poolConfig(tb testing.TB, url string) *pgxpool.Config {
	tb.Helper()
	c, err := pgxpool.ParseConfig(url)
	require.NoError(tb, err)
	c.MaxConns = 4
	return c
}

// newSchema names a schema for one test, which is dropped at its end.
func newSchema(tb testing.TB, url string) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := execute(ctx, url, "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			tb.Logf("schema %s is left behind: %v", name, err)
		}
	})
	return name
}
