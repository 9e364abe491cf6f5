//go:build unix

package peerbench

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver

	"github.com/tocsin-go/tocsin/event"
)

// plain is the floor: a table, one goroutine that commits what waits, workers that get a job once it is committed and wait
// until it is deleted. It has no lanes, order, times, retries, dead letters or known ids.
type plain struct {
	db      *sql.DB
	conn    *sql.Conn
	changes chan change
	jobs    chan job
	writing sync.WaitGroup
	working sync.WaitGroup
}

type change struct {
	insert *job // nil = delete id
	id     int64
	done   chan error
}

type job struct {
	id         int64
	name, body string
}

const setup = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
	CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL) STRICT`

func openPlain(b *testing.B, path string, done func(string)) peer {
	b.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(b, err)
	conn, err := db.Conn(context.Background())
	require.NoError(b, err)
	_, err = conn.ExecContext(context.Background(), setup)
	require.NoError(b, err)
	p := &plain{db: db, conn: conn, changes: make(chan change, 512), jobs: make(chan job, 1<<20)}
	insert, err := conn.PrepareContext(context.Background(), "INSERT INTO job (name, body) VALUES (?, ?)")
	require.NoError(b, err)
	remove, err := conn.PrepareContext(context.Background(), "DELETE FROM job WHERE id = ?")
	require.NoError(b, err)
	p.writing.Go(func() {
		for c := range p.changes {
			batch := []change{c}
			for len(batch) < 512 && len(p.changes) > 0 {
				batch = append(batch, <-p.changes)
			}
			p.commit(b, batch, insert, remove)
		}
	})
	for range workers {
		p.working.Go(func() {
			for j := range p.jobs {
				done(j.name)
				_ = p.change(change{id: j.id})
			}
		})
	}
	return p
}

func (p *plain) commit(b *testing.B, batch []change, insert, remove *sql.Stmt) {
	ctx := context.Background()
	_, err := p.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	for _, c := range batch {
		if err != nil {
			break
		}
		if c.insert == nil {
			_, err = remove.ExecContext(ctx, c.id)
			continue
		}
		var r sql.Result
		if r, err = insert.ExecContext(ctx, c.insert.name, c.insert.body); err == nil {
			c.insert.id, err = r.LastInsertId()
		}
	}
	if err == nil {
		_, err = p.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		b.Error(err)
	}
	for _, c := range batch {
		if c.insert != nil {
			p.jobs <- *c.insert
		}
		c.done <- err
	}
}

func (p *plain) change(c change) error {
	c.done = make(chan error, 1)
	p.changes <- c
	return <-c.done
}

func (p *plain) put(_ context.Context, e event.Event) error {
	return p.change(change{insert: &job{name: e.ID(), body: string(e.JSON())}})
}

func (p *plain) close() {
	close(p.jobs)
	p.working.Wait()
	close(p.changes)
	p.writing.Wait()
	_ = p.conn.Close()
	_ = p.db.Close()
}
