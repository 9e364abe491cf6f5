//go:build unix

package peerbench

import (
	"context"
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// rivers is River on SQLite as its documentation says, with one connection, and tuned: it asks for jobs as often as it may.
type rivers struct {
	db     *sql.DB
	client *river.Client[*sql.Tx]
}

type riverArgs struct {
	Name string `json:"name"`
	Body string `json:"body"`
}

// Kind implements river.JobArgs.
func (riverArgs) Kind() string { return "bench" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	done func(string)
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, j *river.Job[riverArgs]) error {
	w.done(j.Args.Name)
	return nil
}

func openRiver(b *testing.B, path string, done func(string)) peer {
	b.Helper()
	ctx := context.Background()
	db, err := sql.Open("sqlite", path)
	require.NoError(b, err)
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
	require.NoError(b, err)
	driver := riversqlite.New(db)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	require.NoError(b, err)
	all := river.NewWorkers()
	river.AddWorker(all, &riverWorker{done: done})
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:           all,
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: time.Millisecond,
		Logger:            slog.New(slog.DiscardHandler),
	})
	require.NoError(b, err)
	require.NoError(b, client.Start(ctx))
	return &rivers{db: db, client: client}
}

func (r *rivers) put(ctx context.Context, e event.Event) error {
	_, err := r.client.Insert(ctx, riverArgs{Name: e.ID(), Body: string(e.JSON())}, nil)
	return err
}

func (r *rivers) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = r.client.Stop(ctx)
	_ = r.db.Close()
}
