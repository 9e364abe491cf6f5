package postgresdocs

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/internal/testserver"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
)

var (
	postgreSQL = testserver.PostgreSQL()
	pooler     = testserver.PgBouncer(func(tb testing.TB) string { return postgreSQL.Address(tb, ping) })
)

func TestMain(m *testing.M) {
	if managetest.Child(openChild) {
		return
	}
	goleak.VerifyTestMain(suite{m})
}

// suite stops the servers behind the tests.
type suite struct{ *testing.M }

func (s suite) Run() int {
	defer postgreSQL.Stop()
	defer pooler.Stop()
	return s.M.Run()
}

func ping(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	return c.Close(ctx)
}

// quick is how often tests look for changes.
const quick = 10 * time.Millisecond

// openChild opens the store of "schema address".
func openChild(store string) (manage.Documents, func() error, error) {
	schema, address, _ := strings.Cut(store, " ")
	pool, err := pgxpool.New(context.Background(), address)
	if err != nil {
		return nil, nil, err
	}
	s, err := New(context.Background(), pool, Config{Schema: schema, Poll: quick})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return s, func() error { s.Close(); pool.Close(); return nil }, nil
}

func newPool(tb testing.TB, address string) *pgxpool.Pool {
	tb.Helper()
	c, err := pgxpool.ParseConfig(address)
	require.NoError(tb, err)
	c.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(tb.Context(), c)
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	return pool
}

// newSchema makes a schema without tables. Its name has to be quoted.
func newSchema(tb testing.TB) string {
	tb.Helper()
	schema := `T"` + rand.Text()[:12]
	address := postgreSQL.Address(tb, ping)
	run := func(ctx context.Context, statement string) {
		c, err := pgx.Connect(ctx, address)
		require.NoError(tb, err)
		defer c.Close(ctx)
		_, err = c.Exec(ctx, statement)
		require.NoError(tb, err)
	}
	name := pgx.Identifier{schema}.Sanitize()
	run(tb.Context(), "CREATE SCHEMA "+name)
	tb.Cleanup(func() { run(context.Background(), "DROP SCHEMA "+name+" CASCADE") })
	return schema
}

// open opens the store in a schema, whose tables it makes.
func open(tb testing.TB, address, schema string) *Store {
	tb.Helper()
	pool := newPool(tb, address)
	require.NoError(tb, Migrate(tb.Context(), pool, schema))
	s, err := New(tb.Context(), pool, Config{Schema: schema, Timeout: 20 * time.Second, Poll: quick})
	require.NoError(tb, err)
	tb.Cleanup(s.Close)
	return s
}

const password = "password-5b1e"

// withPassword adds a password, which a server that trusts everybody does not look at.
func withPassword(t *testing.T, address string) string {
	u, err := url.Parse(address)
	require.NoError(t, err)
	if _, set := u.User.Password(); !set {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	return u.String()
}

func TestConforms(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func() string{
		"direct":           func() string { return postgreSQL.Address(t, ping) },
		"through a pooler": func() string { return pooler.Address(t, ping) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := withPassword(t, address())
			managetest.Run(t, managetest.Suite{
				New:   func(t *testing.T) manage.Documents { return open(t, address, newSchema(t)) },
				Close: func(d manage.Documents) error { d.(*Store).Close(); return nil },
				Network: func(t *testing.T) managetest.Network {
					schema := newSchema(t)
					other := open(t, address, schema)
					proxy := newProxy(t, address)
					return managetest.Network{Documents: open(t, proxy.url(), schema), Other: other, Cut: proxy.cut, Heal: proxy.heal}
				},
				Process: &managetest.Process{
					Store: func(t *testing.T) string {
						schema := newSchema(t)
						require.NoError(t, Migrate(t.Context(), newPool(t, address), schema))
						return schema + " " + address
					},
					Open: func(t *testing.T, store string) manage.Documents {
						schema, address, _ := strings.Cut(store, " ")
						return open(t, address, schema)
					},
					Shared: true,
				},
				Secrets: []string{password, address},
				Timeout: time.Minute,
			})
		})
	}
}

// A writer that has stopped in the middle of its transaction, without its connection being closed, holds the others up
// for a limited time.
func TestAWriterThatStopsLetsTheOthersGoOn(t *testing.T) {
	t.Parallel()
	schema := newSchema(t)
	s := open(t, postgreSQL.Address(t, ping), schema)
	ctx := t.Context()
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginQuery})
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = '200ms'")
	require.NoError(t, err)
	_, err = s.write(ctx, tx, change{tenant: "stopped", content: []byte("x")})
	require.NoError(t, err)
	_, err = s.Put(ctx, "a", manage.Record{}, 0)
	require.NoError(t, err)
	_, err = s.Get(ctx, "stopped")
	require.ErrorIs(t, err, manage.ErrNotFound)
	assert.Error(t, tx.Commit(ctx))
}

// Changes are numbered as they are committed: a follower that has seen one misses none before it.
func TestChangesAreNumberedAsTheyAreCommitted(t *testing.T) {
	t.Parallel()
	s := open(t, postgreSQL.Address(t, ping), newSchema(t))
	ctx := t.Context()
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginQuery})
	require.NoError(t, err)
	_, err = s.write(ctx, tx, change{tenant: "slow", content: []byte("x")})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := s.Put(ctx, "fast", manage.Record{}, 0)
		done <- err
	}()
	require.Eventually(t, func() bool {
		n := 0
		err := s.pool.QueryRow(ctx, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')").Scan(&n)
		return err == nil && n > 0
	}, 20*time.Second, quick)
	changes, latest := s.changes(ctx, 0)
	assert.Empty(t, changes)
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, <-done)
	changes, latest = s.changes(ctx, latest)
	assert.Equal(t, []manage.Change{{Head: manage.Head{Tenant: "slow", Revision: 1}}, {Head: manage.Head{Tenant: "fast", Revision: 1}}}, changes)
	assert.EqualValues(t, 2, latest)
}

// A database that was put back from a backup has fewer changes than were told.
func TestADatabaseThatWasPutBack(t *testing.T) {
	t.Parallel()
	s := open(t, postgreSQL.Address(t, ping), newSchema(t))
	ctx := t.Context()
	for _, tenant := range []string{"a", "b"} {
		_, err := s.Put(ctx, tenant, manage.Record{}, 0)
		require.NoError(t, err)
	}
	watched, err := s.Watch(ctx)
	require.NoError(t, err)
	_, err = s.pool.Exec(ctx, "UPDATE "+s.tables.state+" SET latest = 1")
	require.NoError(t, err)
	assert.Equal(t, manage.Change{Resync: true}, <-watched)
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	schema := newSchema(t)
	pool := newPool(t, postgreSQL.Address(t, ping))
	_, err := New(ctx, pool, Config{Schema: schema})
	missing, ok := errors.AsType[*SchemaError](err)
	require.True(t, ok, err)
	assert.Equal(t, 0, missing.Found)
	done := make(chan error)
	const callers = 8
	for range callers {
		go func() { done <- Migrate(ctx, pool, schema) }()
	}
	for range callers {
		require.NoError(t, <-done)
	}
	_, err = New(ctx, pool, Config{Schema: schema})
	require.NoError(t, err)
	require.Len(t, Migrations(schema), 1)

	_, err = pool.Exec(ctx, "UPDATE "+tablesIn(schema).state+" SET version = 9")
	require.NoError(t, err)
	for _, err := range []error{Migrate(ctx, pool, schema), func() error { _, err := New(ctx, pool, Config{Schema: schema}); return err }()} {
		newer, ok := errors.AsType[*SchemaError](err)
		require.True(t, ok, err)
		assert.Equal(t, 9, newer.Found)
		assert.Contains(t, err.Error(), "newer version")
	}
}

// The scripts make what Migrate makes.
func TestMigrationsAreWhatMigrateRuns(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	schema := newSchema(t)
	pool := newPool(t, postgreSQL.Address(t, ping))
	for _, script := range Migrations(schema) {
		_, err := pool.Exec(ctx, script)
		require.NoError(t, err)
	}
	s, err := New(ctx, pool, Config{Schema: schema})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Put(ctx, "a", manage.Record{}, 0)
	require.NoError(t, err)
}

// A server that is not there: the error has its address, and not how it is entered.
func TestErrorsShowNoSettings(t *testing.T) {
	t.Parallel()
	pool := newPool(t, "postgres://someone:"+password+"@127.0.0.1:1/secret-database?application_name=secret-name&sslmode=disable")
	_, err := New(t.Context(), pool, Config{})
	_, ok := errors.AsType[*manage.StoreError](err)
	require.True(t, ok, err)
	for _, secret := range []string{password, "someone", "secret-database", "secret-name"} {
		assert.NotContains(t, err.Error(), secret)
	}
	assert.Contains(t, err.Error(), "127.0.0.1:1")
}
