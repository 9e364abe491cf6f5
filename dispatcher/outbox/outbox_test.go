package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

func TestNewReportsMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect outbox.Dialect
		table   string
		path    string
		code    channel.ConfigCode
	}{
		{"Oracle", "", "Dialect", channel.CodeUnknown},
		{outbox.SQLite, "a.b.c", "Table", channel.CodeInvalid},
		{outbox.SQLite, ".b", "Table", channel.CodeInvalid},
		{outbox.SQLite, "a.", "Table", channel.CodeInvalid},
		{outbox.PostgreSQL, `x"; DROP TABLE grants; --`, "Table", channel.CodeInvalid},
		{outbox.MySQL, "1st", "Table", channel.CodeInvalid},
		{outbox.MySQL, "täble", "Table", channel.CodeInvalid},
		{outbox.PostgreSQL, strings.Repeat("t", 57), "Table", channel.CodeRange},
		{outbox.PostgreSQL, strings.Repeat("s", 57) + ".t", "Table", channel.CodeRange},
	} {
		_, err := outbox.New(c.dialect, outbox.Options{Table: c.table})
		mistake, ok := errors.AsType[*channel.ConfigError](err)
		require.True(t, ok, "%s %q: %v", c.dialect, c.table, err)
		assert.Equal(t, "outbox", mistake.Package)
		assert.Equal(t, c.path, mistake.Path, c.table)
		assert.Equal(t, c.code, mistake.Code, c.table)
		assert.NotContains(t, err.Error(), "DROP")
	}
}

func TestNewRelayReportsEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := outbox.NewRelay(nil, nil, nil, outbox.RelayOptions{Poll: 1, Lease: time.Millisecond, OpenTransaction: -1})
	var paths []string
	_ = channel.EditConfigErrors(err, func(e *channel.ConfigError) { paths = append(paths, e.Path) })
	assert.Equal(t, []string{"db", "Outbox", "Dispatcher", "Poll", "Lease", "OpenTransaction"}, paths)
}

// statement is what a Tx was given.
type statement struct {
	query string
	args  []any
}

// recorded returns a Tx that keeps what it is given.
func recorded(all *[]statement) outbox.Tx {
	return func(_ context.Context, query string, args ...any) error {
		*all = append(*all, statement{query, args})
		return nil
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	e := event.Must(event.RequestApproved{}, event.Meta{ID: "e", Time: time.Unix(1, 0)})
	for _, c := range []struct {
		dialect                    outbox.Dialect
		dispatch, schedule, cancel string
	}{
		{
			outbox.PostgreSQL,
			`INSERT INTO "audit"."box" (format, operation, body) VALUES (1, 1, $1), (1, 1, $2)`,
			`INSERT INTO "audit"."box" (format, operation, at, name, body) VALUES (1, 2, $1, $2, $3)`,
			`INSERT INTO "audit"."box" (format, operation, name) VALUES (1, 3, $1)`,
		},
		{
			outbox.MySQL,
			"INSERT INTO `audit`.`box` (format, operation, body) VALUES (1, 1, ?), (1, 1, ?)",
			"INSERT INTO `audit`.`box` (format, operation, at, name, body) VALUES (1, 2, ?, ?, ?)",
			"INSERT INTO `audit`.`box` (format, operation, name) VALUES (1, 3, ?)",
		},
	} {
		box, err := outbox.New(c.dialect, outbox.Options{Table: "audit.box"})
		require.NoError(t, err)
		var got []statement
		require.NoError(t, box.Dispatch(t.Context(), recorded(&got), e, e))
		require.NoError(t, box.Schedule(t.Context(), recorded(&got), time.Unix(0, 7), "key", e))
		require.NoError(t, box.Cancel(t.Context(), recorded(&got), "key"))
		body := []byte(e.JSON())
		assert.Equal(t, []statement{
			{c.dispatch, []any{body, body}},
			{c.schedule, []any{int64(7), []byte("key"), body}},
			{c.cancel, []any{[]byte("key")}},
		}, got)
	}
}

// A bad event anywhere is found before the first statement, and many events are few statements.
func TestDispatchChecksFirstAndWritesFewStatements(t *testing.T) {
	t.Parallel()
	box, err := outbox.New(outbox.SQLite, outbox.Options{})
	require.NoError(t, err)
	events := make([]event.Event, 250)
	for i := range events {
		events[i] = event.Must(event.RequestApproved{}, event.Meta{})
	}
	var got []statement
	require.NoError(t, box.Dispatch(t.Context(), recorded(&got), events...))
	require.Len(t, got, 3)
	assert.Len(t, got[0].args, 100)
	assert.Len(t, got[2].args, 50)

	got = nil
	events[249] = event.Event{}
	bad, ok := errors.AsType[*dispatcher.EventError](box.Dispatch(t.Context(), recorded(&got), events...))
	require.True(t, ok)
	assert.Equal(t, 249, bad.Index)
	assert.Empty(t, got)
	require.NoError(t, box.Dispatch(t.Context(), recorded(&got)))
	assert.Empty(t, got)

	failed := errors.New("the driver's")
	err = box.Dispatch(t.Context(), func(context.Context, string, ...any) error { return failed }, events[0])
	assert.ErrorIs(t, err, failed)
}

func TestMigrationsAreScripts(t *testing.T) {
	t.Parallel()
	for dialect, statements := range map[outbox.Dialect]int{outbox.PostgreSQL: 5, outbox.SQLite: 4, outbox.MySQL: 4} {
		box, err := outbox.New(dialect, outbox.Options{Table: "audit.box"})
		require.NoError(t, err)
		scripts := box.Migrations()
		require.Len(t, scripts, 1)
		assert.Equal(t, statements, strings.Count(scripts[0], ";\n"))
	}
}

// The recipe of the README.
func Example() {
	ctx := context.Background()
	var db *sql.DB         // the product's own
	engine := newProduct() // an Engine with a durable queue
	box, err := outbox.New(outbox.PostgreSQL, outbox.Options{})
	check(err)
	check(box.Migrate(ctx, db)) // or run box.Migrations() with the product's own

	// Wherever the product changes something: the event exists if and only if Commit succeeds.
	tx, err := db.BeginTx(ctx, nil)
	check(err)
	_, err = tx.ExecContext(ctx, "UPDATE grants SET state = 'active' WHERE id = $1", 7)
	check(err)
	check(box.Dispatch(ctx, outbox.SQL(tx), grantActive(7))) // of pgx itself: outbox.PGX(tx)
	check(tx.Commit())

	// Once in each process. One of them relays at a time.
	relay, err := outbox.NewRelay(db, box, engine, outbox.RelayOptions{})
	check(err)
	go func() { check(relay.Run(ctx)) }()
}

func newProduct() dispatcher.Dispatcher { return new(dispatchertest.Recorder) }

func check(error) {}

func grantActive(int) event.Event { return event.Event{} }

// Whatever a product is given, the same mistake is the same error.
func TestEngineRecorderAndOutboxRefuseTheSame(t *testing.T) {
	t.Parallel()
	engine, err := dispatcher.New(dispatcher.Config{})
	require.NoError(t, err)
	o, err := outbox.New(outbox.SQLite, outbox.Options{})
	require.NoError(t, err)
	var written []statement
	tx, rec, at := recorded(&written), new(dispatchertest.Recorder), time.Unix(1, 0)
	good := event.Must(event.RequestApproved{}, event.Meta{})
	for name, refuse := range map[string]func(dispatcher.Dispatcher, dispatcher.Scheduler) error{
		"no event": func(d dispatcher.Dispatcher, _ dispatcher.Scheduler) error {
			return d.Dispatch(t.Context(), good, event.Event{})
		},
		"no scheduled event": func(_ dispatcher.Dispatcher, s dispatcher.Scheduler) error {
			return s.Schedule(t.Context(), at, "", event.Event{})
		},
		"no key": func(_ dispatcher.Dispatcher, s dispatcher.Scheduler) error {
			return s.Schedule(t.Context(), at, "", good)
		},
		"a long key": func(_ dispatcher.Dispatcher, s dispatcher.Scheduler) error {
			return s.Schedule(t.Context(), at, strings.Repeat("ü", 128), good)
		},
	} {
		want := refuse(engine, engine)
		require.Error(t, want, name)
		assert.Equal(t, want, refuse(rec, rec), name)
		in := inTransaction{o, tx}
		assert.Equal(t, want, refuse(in, in), name)
	}
	assert.Empty(t, written)
	require.NoError(t, o.Schedule(t.Context(), tx, at, strings.Repeat("k", 255), good))
}

// inTransaction is an Outbox and a transaction as a Dispatcher and a Scheduler.
type inTransaction struct {
	*outbox.Outbox

	tx outbox.Tx
}

func (in inTransaction) Dispatch(ctx context.Context, events ...event.Event) error {
	return in.Outbox.Dispatch(ctx, in.tx, events...)
}

func (in inTransaction) Schedule(ctx context.Context, at time.Time, key string, e event.Event) error {
	return in.Outbox.Schedule(ctx, in.tx, at, key, e)
}

func (in inTransaction) Cancel(ctx context.Context, key string) (bool, error) {
	return false, in.Outbox.Cancel(ctx, in.tx, key)
}
