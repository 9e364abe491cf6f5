package drivertest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/event"
)

// each benchmarks on each database.
func each(b *testing.B, bench func(b *testing.B, p place)) {
	for _, at := range []struct {
		name string
		make func(tb testing.TB) place
	}{{"PostgreSQL", onPostgreSQL}, {"SQLite", onSQLite}, {"MySQL", onMySQL}} {
		b.Run(at.name, func(b *testing.B) { bench(b, at.make(b)) })
	}
}

// payload is an event of about 1 KiB.
func payload(id string) event.Event {
	const text = "Production access for the incident of this morning, as agreed with the team on call and their lead. "
	return event.Must(event.RequestDenied{Reason: text + text + text + text + text + text + text + text}, event.Meta{ID: id})
}

// newOutbox makes the tables of an outbox of its own.
func (p place) newOutbox(b *testing.B) (db *sql.DB, box *outbox.Outbox, table string) {
	b.Helper()
	db, table = p.open(b), newName()
	if p.schema != "" {
		table = p.schema + "." + table
	}
	box, err := outbox.New(p.dialect, outbox.Options{Table: table})
	require.NoError(b, err)
	require.NoError(b, box.Migrate(b.Context(), db))
	return db, box, table
}

// BenchmarkHostTransaction is what an outbox row costs a transaction of the host, which inserts a row of 1 KiB and
// updates one, beside the same without. Both alternate in one run: "x-floor" is the time with by the time without.
func BenchmarkHostTransaction(b *testing.B) {
	each(b, func(b *testing.B, p place) {
		for _, connections := range []int{1, 16} {
			b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) { benchmarkHost(b, p, connections) })
		}
	})
}

func benchmarkHost(b *testing.B, p place, connections int) {
	db, box, table := p.newOutbox(b)
	grants := table + "_grants"
	blob := map[outbox.Dialect]string{outbox.PostgreSQL: "bytea", outbox.SQLite: "BLOB", outbox.MySQL: "BLOB"}[p.dialect]
	ids := map[outbox.Dialect]string{
		outbox.PostgreSQL: "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", outbox.SQLite: "INTEGER PRIMARY KEY",
		outbox.MySQL: "BIGINT AUTO_INCREMENT PRIMARY KEY",
	}[p.dialect]
	insert, update := `INSERT INTO `+grants+` (state, body) VALUES (0, ?)`, `UPDATE `+grants+` SET state = state + 1 WHERE id = ?`
	if p.dialect == outbox.PostgreSQL {
		insert, update = `INSERT INTO `+grants+` (state, body) VALUES (0, $1)`, `UPDATE `+grants+` SET state = state + 1 WHERE id = $1`
	}
	exec := func(query string) {
		_, err := db.ExecContext(b.Context(), query)
		require.NoError(b, err)
	}
	exec(`CREATE TABLE ` + grants + ` (id ` + ids + `, state INTEGER NOT NULL, body ` + blob + `)`)
	for range 1000 {
		exec(`INSERT INTO ` + grants + ` (state) VALUES (0)`)
	}
	var number atomic.Int64
	transaction := func(ctx context.Context, with bool) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		n := number.Add(1)
		e := payload(fmt.Sprintf("event-%d", n))
		if _, err := tx.ExecContext(ctx, insert, []byte(e.JSON())); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, update, n%1000+1); err != nil {
			return err
		}
		if with {
			if err := box.Dispatch(ctx, outbox.SQL(tx), e); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
	run := func(n int, with bool) time.Duration {
		left := atomic.Int64{}
		left.Store(int64(n))
		var all sync.WaitGroup
		began := time.Now()
		for range connections {
			all.Go(func() {
				for left.Add(-1) >= 0 {
					if err := transaction(b.Context(), with); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		return time.Since(began)
	}
	run(200, false)
	run(200, true)
	b.ResetTimer()
	var with, without time.Duration
	for done := 0; done < b.N; done += 100 { // alternating, so that both see the same machine
		without += run(100, false)
		with += run(100, true)
	}
	rounds := float64((b.N + 99) / 100 * 100)
	b.ReportMetric(rounds/without.Seconds(), "tx/s-without")
	b.ReportMetric(rounds/with.Seconds(), "tx/s-with")
	b.ReportMetric(with.Seconds()/without.Seconds(), "x-floor")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRelay is how many rows of 1 KiB a second a relay hands to a Dispatcher that does nothing.
func BenchmarkRelay(b *testing.B) {
	each(b, func(b *testing.B, p place) {
		db, box, table := p.newOutbox(b)
		all := make([]event.Event, 500)
		for n := 0; n < b.N; n += len(all) {
			for i := range all {
				all[i] = payload(fmt.Sprintf("event-%d", n+i))
			}
			tx, err := db.BeginTx(b.Context(), nil)
			require.NoError(b, err)
			require.NoError(b, box.Dispatch(b.Context(), outbox.SQL(tx), all...))
			require.NoError(b, tx.Commit())
		}
		rows := (b.N + len(all) - 1) / len(all) * len(all)
		c := &counter{want: rows, done: make(chan struct{})}
		relay, err := outbox.NewRelay(db, box, c, outbox.RelayOptions{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		b.ResetTimer()
		go func() { ended <- relay.Run(ctx) }()
		<-c.done
		b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		b.StopTimer()
		cancel()
		require.NoError(b, <-ended)
		left := 0
		require.NoError(b, db.QueryRowContext(b.Context(), "SELECT count(*) FROM "+table).Scan(&left))
		require.Zero(b, left)
	})
}

// counter counts events.
type counter struct {
	want int
	got  int
	done chan struct{}
}

func (c *counter) Dispatch(_ context.Context, events ...event.Event) error {
	if c.got += len(events); c.got == c.want {
		close(c.done)
	}
	return nil
}

// BenchmarkLatency is the time from a commit to its Dispatch, beside the given number of connections that commit as
// well.
func BenchmarkLatency(b *testing.B) {
	each(b, func(b *testing.B, p place) {
		for _, writers := range []int{0, 4} {
			b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { benchmarkLatency(b, p, writers) })
		}
	})
}

func benchmarkLatency(b *testing.B, p place, writers int) {
	db, box, _ := p.newOutbox(b)
	arrived := make(chan time.Time, 1)
	relay, err := outbox.NewRelay(db, box, watcher(arrived), outbox.RelayOptions{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = relay.Run(ctx) })
	write := func(id string) error {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if err := box.Dispatch(b.Context(), outbox.SQL(tx), payload(id)); err != nil {
			return err
		}
		return tx.Commit()
	}
	for w := range writers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_ = write(fmt.Sprintf("other-%d-%d", w, n))
			}
		})
	}
	var latencies []time.Duration
	for b.Loop() {
		require.NoError(b, write("watched"))
		committed := time.Now()
		latencies = append(latencies, (<-arrived).Sub(committed))
		<-time.After(time.Duration(rand.IntN(50)) * time.Millisecond)
	}
	cancel()
	all.Wait()
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// watcher says when the watched event is dispatched.
type watcher chan time.Time

func (w watcher) Dispatch(_ context.Context, events ...event.Event) error {
	for _, e := range events {
		if e.ID() == "watched" {
			w <- time.Now()
		}
	}
	return nil
}
