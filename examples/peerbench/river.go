package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/tocsin-go/tocsin/event"
)

// riverSQLite is River as its documentation says for SQLite, with one connection, and tuned: it asks for jobs as often as it
// may.
func riverSQLite() jobStoreMaker {
	return jobStoreMaker{
		name: "riverqueue/river, tuned",
		traits: jobStoreTraits{
			"each insertion for itself", "for each queue", "by priority", "counted and kept", "listed, run again", "unique jobs on request",
		},
		part: 20,
		open: func(path string, done func()) (jobStore, error) {
			ctx := context.Background()
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return jobStore{}, err
			}
			db.SetMaxOpenConns(1)
			client, err := riverClient(ctx, db, done)
			if err != nil {
				return jobStore{}, errors.Join(err, db.Close())
			}
			return jobStore{
				put: func(ctx context.Context, e event.Event) error {
					_, err := client.Insert(ctx, riverArgs{Name: e.ID(), Body: string(e.JSON())}, nil)
					return err
				},
				close: func() error { return errors.Join(client.Stop(ctx), db.Close()) },
			}, nil
		},
	}
}

func riverClient(ctx context.Context, db *sql.DB, done func()) (*river.Client[*sql.Tx], error) {
	if _, err := db.ExecContext(ctx, sqliteSettings); err != nil {
		return nil, err
	}
	driver, quiet := riversqlite.New(db), slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	all := river.NewWorkers()
	river.AddWorker(all, &riverWorker{done: done})
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: jobWorkers}},
		Workers:           all,
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: time.Millisecond,
		Logger:            quiet,
	})
	if err != nil {
		return nil, err
	}
	return client, client.Start(ctx)
}

type riverArgs struct {
	Name string `json:"name"`
	Body string `json:"body"`
}

// Kind implements river.JobArgs.
func (riverArgs) Kind() string { return "peerbench" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	done func()
}

// Work implements river.Worker.
func (w *riverWorker) Work(context.Context, *river.Job[riverArgs]) error {
	w.done()
	return nil
}
