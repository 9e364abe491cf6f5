package main

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	_ "modernc.org/sqlite" // the driver

	"github.com/tocsin-go/tocsin/event"
)

// sqliteSettings are those of all entrants: a job that was stored outlasts a power cut.
const sqliteSettings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000"

// plainSQLite is the floor: a table, one goroutine that commits what waits, workers that get a job once it is committed and
// wait until it is deleted.
func plainSQLite() jobStoreMaker {
	return jobStoreMaker{
		name:   "plain SQLite, group commit",
		traits: jobStoreTraits{"what waits, together", "for all", "none", "none", "none", "stored twice"},
		open: func(path string, done func()) (jobStore, error) {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return jobStore{}, err
			}
			p := &plainTable{db: db, changes: make(chan tableChange, 512), jobs: make(chan tableJob, 1<<20)}
			if err := p.begin(context.Background(), done); err != nil {
				return jobStore{}, errors.Join(err, db.Close())
			}
			return jobStore{put: p.put, close: p.close}, nil
		},
	}
}

// plainTable is a table of jobs.
type plainTable struct {
	db             *sql.DB
	conn           *sql.Conn
	insert, remove *sql.Stmt
	changes        chan tableChange
	jobs           chan tableJob
	writing        sync.WaitGroup
	working        sync.WaitGroup
}

type tableChange struct {
	insert *tableJob // nil = delete id
	id     int64
	done   chan error
}

type tableJob struct {
	id         int64
	name, body string
}

func (p *plainTable) begin(ctx context.Context, done func()) (err error) {
	if p.conn, err = p.db.Conn(ctx); err != nil {
		return err
	}
	const table = "CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL) STRICT"
	if _, err := p.conn.ExecContext(ctx, sqliteSettings+"; "+table); err != nil {
		return err
	}
	if p.insert, err = p.conn.PrepareContext(ctx, "INSERT INTO job (name, body) VALUES (?, ?)"); err != nil {
		return err
	}
	if p.remove, err = p.conn.PrepareContext(ctx, "DELETE FROM job WHERE id = ?"); err != nil {
		return err
	}
	p.writing.Go(p.write)
	for range jobWorkers {
		p.working.Go(func() {
			for j := range p.jobs {
				done()
				_ = p.change(tableChange{id: j.id})
			}
		})
	}
	return nil
}

func (p *plainTable) write() {
	for c := range p.changes {
		batch := []tableChange{c}
		for len(batch) < cap(p.changes) && len(p.changes) > 0 {
			batch = append(batch, <-p.changes)
		}
		err := p.commit(context.Background(), batch)
		for _, c := range batch {
			if c.insert != nil && err == nil {
				p.jobs <- *c.insert
			}
			c.done <- err
		}
	}
}

func (p *plainTable) commit(ctx context.Context, batch []tableChange) error {
	if _, err := p.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, c := range batch {
		if c.insert == nil {
			if _, err := p.remove.ExecContext(ctx, c.id); err != nil {
				return err
			}
			continue
		}
		r, err := p.insert.ExecContext(ctx, c.insert.name, c.insert.body)
		if err != nil {
			return err
		}
		if c.insert.id, err = r.LastInsertId(); err != nil {
			return err
		}
	}
	_, err := p.conn.ExecContext(ctx, "COMMIT")
	return err
}

func (p *plainTable) change(c tableChange) error {
	c.done = make(chan error, 1)
	p.changes <- c
	return <-c.done
}

func (p *plainTable) put(_ context.Context, e event.Event) error {
	return p.change(tableChange{insert: &tableJob{name: e.ID(), body: string(e.JSON())}})
}

func (p *plainTable) close() error {
	close(p.jobs)
	p.working.Wait()
	close(p.changes)
	p.writing.Wait()
	return errors.Join(p.conn.Close(), p.db.Close())
}
