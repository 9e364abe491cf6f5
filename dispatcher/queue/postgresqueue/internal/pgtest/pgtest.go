// Package pgtest finds or starts PostgreSQL servers for tests.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// URLVariable names the variable with the URL of a server for the tests, whose role may create schemas.
const URLVariable = "TOCSIN_POSTGRES_URL"

// usual is where a server is tried when no variable names one.
const usual = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"

//nolint:gochecknoglobals // the server that all tests of a run share
var found struct {
	once sync.Once
	url  string
	err  error
}

// URL is that of a server: the one that URLVariable or DATABASE_URL names, the one on this machine's usual port, or one
// that is started for this run from what is installed. Without any the test is skipped. End stops what was started.
func URL(t testing.TB) string {
	t.Helper()
	found.once.Do(func() { found.url, found.err = find() })
	if found.err != nil {
		t.Skipf("no PostgreSQL server: set %s, or install one (apt-get install postgresql): %v", URLVariable, found.err)
	}
	return found.url
}

func find() (string, error) {
	for _, name := range [...]string{URLVariable, "DATABASE_URL"} {
		if url := os.Getenv(name); strings.HasPrefix(url, "postgres") {
			return url, nil
		}
	}
	if answers(usual) {
		return usual, nil
	}
	s, err := Start("")
	if err != nil {
		return "", err
	}
	shared = s
	return s.URL(), nil
}

// shared is the server that was started for all tests; nil = none was.
var shared *Server //nolint:gochecknoglobals // as found

// End stops the server that URL has started. TestMain calls it.
func End() {
	if shared != nil {
		shared.Stop()
	}
}

// answers reports whether a server takes connections.
func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	_ = conn.Close(ctx)
	return true
}

// Config is for a pool on a server.
func Config(t testing.TB, url string) *pgxpool.Config {
	t.Helper()
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatalf("the URL of the test's server cannot be read: %v", err)
	}
	c.MaxConns = 4
	return c
}

// Schema names a schema for one test, which is dropped at its end.
func Schema(t testing.TB, url string) string {
	t.Helper()
	random := make([]byte, 6)
	_, _ = rand.Read(random) // never fails
	name := "test_" + hex.EncodeToString(random)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := Exec(ctx, url, "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			t.Logf("schema %s is left behind: %v", name, err)
		}
	})
	return name
}

// Exec runs statements on a connection of their own.
func Exec(ctx context.Context, url, text string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
	return err
}
