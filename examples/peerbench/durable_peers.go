package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	_ "modernc.org/sqlite" // the driver

	"github.com/tocsin-go/tocsin/event"
)

// groupCommit is how many changes go into one commit at most.
const groupCommit = 512

// walSettings are those of all entrants.
const walSettings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000"

// plainTable is the floor: a table, one goroutine that commits what waits, workers that get a job once it is committed
// and wait until it is deleted. It has no lanes, order, times, retries, dead letters or known ids.
func plainTable() storageMaker {
	return storageMaker{
		name:   "a plain table, group commits (floor)",
		traits: []string{"none", "none", "none", "a second job", "no"},
		open: func(path string, handle func(string)) (storage, error) {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return nil, err
			}
			t := &jobTable{db: db, changes: make(chan change, groupCommit), jobs: make(chan row, 1<<20)}
			if err := t.prepare(context.Background()); err != nil {
				return nil, errors.Join(err, db.Close())
			}
			t.writing.Go(t.write)
			for range queueWorkers {
				t.working.Go(func() {
					for j := range t.jobs {
						handle(j.name)
						_ = t.change(change{id: j.id})
					}
				})
			}
			return t, nil
		},
	}
}

// jobTable is a table and what works on it.
type jobTable struct {
	db             *sql.DB
	conn           *sql.Conn
	insert, remove *sql.Stmt
	changes        chan change
	jobs           chan row
	writing        sync.WaitGroup
	working        sync.WaitGroup
}

type change struct {
	insert *row // nil = delete id
	id     int64
	done   chan error
}

type row struct {
	id         int64
	name, body string
}

func (t *jobTable) prepare(ctx context.Context) (err error) {
	if t.conn, err = t.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := t.conn.ExecContext(ctx, walSettings+
		"; CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL) STRICT"); err != nil {
		return err
	}
	if t.insert, err = t.conn.PrepareContext(ctx, "INSERT INTO job (name, body) VALUES (?, ?)"); err != nil {
		return err
	}
	t.remove, err = t.conn.PrepareContext(ctx, "DELETE FROM job WHERE id = ?")
	return err
}

func (t *jobTable) write() {
	for c := range t.changes {
		batch := []change{c}
		for len(batch) < groupCommit && len(t.changes) > 0 {
			batch = append(batch, <-t.changes)
		}
		err := t.commit(context.Background(), batch)
		for _, c := range batch {
			if c.insert != nil && err == nil {
				t.jobs <- *c.insert
			}
			c.done <- err
		}
	}
}

func (t *jobTable) commit(ctx context.Context, batch []change) error {
	if _, err := t.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, c := range batch {
		if c.insert == nil {
			if _, err := t.remove.ExecContext(ctx, c.id); err != nil {
				return err
			}
			continue
		}
		r, err := t.insert.ExecContext(ctx, c.insert.name, c.insert.body)
		if err != nil {
			return err
		}
		if c.insert.id, err = r.LastInsertId(); err != nil {
			return err
		}
	}
	_, err := t.conn.ExecContext(ctx, "COMMIT")
	return err
}

func (t *jobTable) change(c change) error {
	c.done = make(chan error, 1)
	t.changes <- c
	return <-c.done
}

func (t *jobTable) put(_ context.Context, e event.Event) error {
	return t.change(change{insert: &row{name: e.ID(), body: string(e.JSON())}})
}

func (t *jobTable) close() error {
	close(t.jobs)
	t.working.Wait()
	close(t.changes)
	t.writing.Wait()
	return errors.Join(t.insert.Close(), t.remove.Close(), t.conn.Close(), t.db.Close())
}

// riverQueue is River on SQLite as its documentation says, with one connection, and tuned: it asks for jobs as often as
// it may.
func riverQueue() storageMaker {
	return storageMaker{
		name: nameRiver, part: 10,
		traits: []string{"queues, each with its workers", "by priority and time", "yes", "a second job, unless it is made unique", "yes"},
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
