package main

import (
	"context"
	"database/sql"
	"errors"
	"sync"

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
		traits: storageTraits{"none", "none", "none", "a second job", "no"},
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
