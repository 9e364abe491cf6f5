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

// riverQueue is River on SQLite as its documentation says, with one connection, and tuned: it asks for jobs as often as
// it may.
func riverQueue() storageMaker {
	return storageMaker{
		name: nameRiver, part: 10,
		traits: storageTraits{"queues, each with its workers", "by priority and time", "yes", "a second job, unless it is made unique", "yes"},
		open: func(path string, handle func(string)) (storage, error) {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return nil, err
			}
			client, err := startRiver(context.Background(), db, handle)
			if err != nil {
				return nil, errors.Join(err, db.Close())
			}
			return &riverStorage{db, client}, nil
		},
	}
}

func startRiver(ctx context.Context, db *sql.DB, handle func(string)) (*river.Client[*sql.Tx], error) {
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, walSettings); err != nil {
		return nil, err
	}
	driver := riversqlite.New(db)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{handle: handle})
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: queueWorkers}},
		Workers:           workers,
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: time.Millisecond,
		Logger:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	return client, client.Start(ctx)
}

type riverStorage struct {
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
	handle func(string)
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, j *river.Job[riverArgs]) error {
	w.handle(j.Args.Name)
	return nil
}

func (r *riverStorage) put(ctx context.Context, e event.Event) error {
	_, err := r.client.Insert(ctx, riverArgs{Name: e.ID(), Body: string(e.JSON())}, nil)
	return err
}

func (r *riverStorage) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(r.client.Stop(ctx), r.db.Close())
}
