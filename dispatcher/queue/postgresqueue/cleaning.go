package postgresqueue

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// mostCleaned is how many rows of a kind are removed at once.
const mostCleaned = 2000

// What has outlived its time, some of it at a time. Rows that somebody else is removing are left to him. now() is one
// moment for the statement, which clock_timestamp() is not: by that no index is used.
const (
	removeKnown = `DELETE FROM tocsin.known WHERE key IN (SELECT key FROM tocsin.known
		WHERE at < now() - $1 * interval '1 microsecond' ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)`
	removeRecords = `DELETE FROM tocsin.record WHERE (kind, key) IN (SELECT kind, key FROM tocsin.record
		WHERE ends < now() ORDER BY ends LIMIT $1 FOR UPDATE SKIP LOCKED)`
	removeRequests = `DELETE FROM tocsin.request WHERE waits AND made < now() - interval '10 minutes'`
	removeEnded    = `DELETE FROM tocsin.dead WHERE num IN (SELECT num FROM tocsin.dead WHERE ends < $1 ORDER BY ends LIMIT $2
		FOR UPDATE SKIP LOCKED) RETURNING seq`
	// Rows of more than a minute ago, which nobody changes any more.
	mergeTally = `WITH gone AS (DELETE FROM tocsin.tally WHERE (lane, slot) IN (SELECT lane, slot FROM tocsin.tally
			WHERE slot <> 0 AND slot < (extract(epoch FROM now())::bigint / 5 - 12 << 32) ORDER BY lane, slot LIMIT $1 FOR UPDATE SKIP LOCKED)
			RETURNING lane, jobs, dead)
		INSERT INTO tocsin.tally AS t (lane, slot, jobs, dead) SELECT lane, 0, sum(jobs), sum(dead) FROM gone GROUP BY lane ORDER BY lane
		ON CONFLICT (lane, slot) DO UPDATE SET jobs = t.jobs + EXCLUDED.jobs, dead = t.dead + EXCLUDED.dead`
	// Orphans are what a crash between two transactions leaves, and two processes that remove the last jobs of an event
	// at once. All events are looked at in turn, some at a time.
	someEvents = `SELECT seq FROM tocsin.event WHERE seq > $1 ORDER BY seq LIMIT $2`
)

// clean removes what has outlived its time.
func (s *store) clean() error {
	var events []int64
	removed := 0
	seqs := func(b *batch, text string, args ...any) {
		b.rows(func(row pgx.Rows) error {
			var seq int64
			err := row.Scan(&seq)
			events = append(events, seq)
			return err
		}, text, args...)
	}
	b := s.db.batch()
	b.add(removeKnown, s.options.IDWindow.Microseconds(), mostCleaned).Exec(count(&removed))
	b.add(removeRecords, mostCleaned).Exec(count(&removed))
	b.add(removeRequests).Exec(count(&removed))
	b.add(mergeTally, mostCleaned).Exec(count(&removed))
	seqs(b, removeEnded, s.clock.now(), mostCleaned)
	s.ends = 0
	b.rows(func(row pgx.Rows) error {
		var at int64
		err := row.Scan(&at)
		s.noteEnd(at)
		return err
	}, "SELECT ends FROM tocsin.dead WHERE ends IS NOT NULL ORDER BY ends LIMIT 1")
	if err := s.db.run(context.Background(), b); err != nil {
		return err
	}
	s.leftOver = removed >= mostCleaned || len(events) >= mostCleaned
	b = s.db.batch()
	before := len(events)
	seqs(b, someEvents, s.looked, mostCleaned)
	if err := s.db.run(context.Background(), b); err != nil {
		return err
	}
	s.looked = 0 // from the start again, unless there are more
	if len(events)-before == mostCleaned {
		s.looked = events[len(events)-1]
	}
	if len(events) == 0 {
		return nil
	}
	b = s.db.batch()
	b.add(sweepEvents, events)
	return s.db.run(context.Background(), b)
}

// count adds how many rows a statement has changed.
func count(n *int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*n += int(tag.RowsAffected())
		return nil
	}
}
