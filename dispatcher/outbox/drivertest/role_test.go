package drivertest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

// role makes a role with these rights, and opens the database as it.
func (p place) role(t *testing.T, grants ...string) *sql.DB {
	t.Helper()
	name := newName()
	p.execute(t, "CREATE ROLE "+name+" LOGIN", fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %s", name, name))
	for _, grant := range append(grants, "USAGE ON SCHEMA "+p.schema) {
		p.execute(t, "GRANT "+grant+" TO "+name, "SELECT 1")
	}
	address, err := url.Parse(p.address)
	require.NoError(t, err)
	address.User = url.User(name)
	as := p
	as.address = address.String()
	return as.open(t)
}

// The rights that the documentation names are enough, and the host needs no more than INSERT.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	p := onPostgreSQL(t)
	h := newHost(t, p)
	table := p.schema + "." + outbox.DefaultTable
	writer := p.role(t, "INSERT ON "+table)
	reader := p.role(t, "SELECT, DELETE ON "+table, "SELECT, UPDATE ON "+table+"_state", "SELECT, INSERT, DELETE ON "+table+"_dead")
	operator := p.role(t, "INSERT ON "+table, "SELECT, DELETE ON "+table+"_dead")

	write := func(ids ...string) {
		tx, err := writer.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		for _, id := range ids {
			require.NoError(t, h.box.Dispatch(t.Context(), outbox.SQL(tx), fact(id, 1)))
		}
		require.NoError(t, h.box.Schedule(t.Context(), outbox.SQL(tx), time.Now(), "key", fact("reminder-"+ids[0], 1)))
		require.NoError(t, h.box.Cancel(t.Context(), outbox.SQL(tx), "other"))
		require.NoError(t, tx.Commit())
	}
	_, err := writer.ExecContext(t.Context(), "SELECT id FROM "+table)
	require.Error(t, err)
	require.NoError(t, h.box.Migrate(t.Context(), reader), "there is nothing to do, which may be found out")

	held, err := writer.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, h.box.Dispatch(t.Context(), outbox.SQL(held), fact("held", 1)))
	var logged lines
	rec := &refusing{bad: "bad"}
	stop := runRelay(t, reader, h.box, rec, &logged)
	write("first", "bad", "second")
	require.NoError(t, rec.Wait(t.Context(), 2))
	require.Eventually(t, func() bool { return logged.contain("a database transaction stays open") }, time.Minute, 10*time.Millisecond,
		"without pg_monitor too")
	require.NoError(t, held.Commit())
	require.NoError(t, rec.Wait(t.Context(), 3))
	stop()

	letters, err := h.box.DeadLetters(t.Context(), reader, 0, 10)
	require.NoError(t, err)
	require.Len(t, letters, 3, "a bad event, and two operations for which there is no Scheduler")
	n, err := h.box.Requeue(t.Context(), operator, letters[0].ID)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	n, err = h.box.Discard(t.Context(), operator, letters[1].ID, letters[2].ID)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	stats, err := h.box.Stats(t.Context(), reader)
	require.NoError(t, err)
	assert.Equal(t, outbox.Stats{Waiting: 1, Oldest: stats.Oldest, OpenTransaction: stats.OpenTransaction}, stats)
}

// refusing refuses one event for good.
type refusing struct {
	dispatchertest.Recorder
	bad string
}

func (r *refusing) Dispatch(ctx context.Context, events ...event.Event) error {
	for i, e := range events {
		if e.ID() == r.bad {
			return &dispatcher.EventError{Index: i, ID: e.ID(), Err: errors.New("refused")}
		}
	}
	return r.Recorder.Dispatch(ctx, events...)
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) contain(text string) bool { return strings.Contains(l.String(), text) }

// onlyDispatcher hides the other methods of a Dispatcher.
type onlyDispatcher struct{ dispatcher.Dispatcher }

func newRelay(t *testing.T, db *sql.DB, box *outbox.Outbox, d dispatcher.Dispatcher, log *lines) *outbox.Relay {
	t.Helper()
	relay, err := outbox.NewRelay(db, box, d, outbox.RelayOptions{
		Poll: 5 * time.Millisecond, Lease: time.Second, OpenTransaction: time.Second, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	return relay
}

// runRelay runs a Relay, without a Scheduler, until the function it returns is called.
func runRelay(t *testing.T, db *sql.DB, box *outbox.Outbox, d dispatcher.Dispatcher, log *lines) (stop func()) {
	t.Helper()
	relay := newRelay(t, db, box, onlyDispatcher{d}, log)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

// A transaction of pgx itself is one too.
func TestPGX(t *testing.T) {
	t.Parallel()
	p := onPostgreSQL(t)
	h := newHost(t, p)
	conn, err := pgx.Connect(t.Context(), p.address)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, commit := range []bool{true, false} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, h.box.Dispatch(t.Context(), outbox.PGX(tx), fact(fmt.Sprint("commit-", commit), 1), fact(fmt.Sprint("too-", commit), 1)))
		require.NoError(t, h.box.Cancel(t.Context(), outbox.PGX(tx), "key"))
		require.NoError(t, h.box.Schedule(t.Context(), outbox.PGX(tx), time.Now(), "key", fact("reminder", 1)))
		if commit {
			require.NoError(t, tx.Commit(t.Context()))
		} else {
			require.NoError(t, tx.Rollback(t.Context()))
		}
	}
	rec := new(dispatchertest.Recorder)
	runRelay(t, h.db, h.box, rec, new(lines))
	require.NoError(t, rec.Wait(t.Context(), 2))
	require.Eventually(t, func() bool { return h.waiting() == 0 }, time.Minute, 10*time.Millisecond)
	assert.Equal(t, []string{"commit-true", "too-true"}, []string{rec.Events()[0].ID(), rec.Events()[1].ID()})
	assert.Len(t, rec.Events(), 2)
}
