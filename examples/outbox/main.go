// Outbox shows that an event is delivered if and only if the transaction it belongs to commits. A grant service writes
// each grant and its event in one transaction, rolls some back, and is killed with -9 between commits and their relay;
// it is started again, and the receiver counts. The program is the receiver and, started by itself, the service.
//
// It needs nothing installed: the database is a SQLite file. With DATABASE_URL it is that PostgreSQL, in a schema of
// its own that is dropped at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"
)

// total is how many grants the service decides.
const total = 3000

func main() {
	if isService() {
		if err := runService(context.Background()); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout, total, os.Getenv("DATABASE_URL")); err != nil {
		log.Fatal(err)
	}
}

// result is what a run has shown.
type result struct {
	committed  int // grants in the database at the end
	rolledBack int
	waiting    int // rows of the outbox when the service was killed
	arrived    int // different events
	stray      int // events without a grant
	twice      int // events that came more than once
	left       int // rows of the outbox at the end
}

// run runs the scenario, printing to out.
func run(ctx context.Context, out io.Writer, grants int, databaseURL string) (r result, err error) {
	folder, err := os.MkdirTemp("", "outbox")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(folder)
	db, err := prepare(ctx, folder, databaseURL)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.drop()) }()
	rec := newReceiver()
	defer rec.Close()
	p := plan{Place: db.place, URL: rec.URL, Queue: filepath.Join(folder, "queue.db"), Grants: grants}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}

	say("The service starts on %s. It decides %d grants; each third is rolled back.", db.place.Dialect, grants)
	first, err := start(ctx, p)
	if err != nil {
		return r, err
	}
	defer first.kill()
	if err := rec.wait(ctx, grants/5); err != nil {
		return r, errors.Join(err, first.failure())
	}
	// So that it is between a commit and its relay.
	if err := db.waitForRows(ctx, func(n int) bool { return n > 0 }); err != nil {
		return r, errors.Join(err, first.failure())
	}
	first.kill()
	before, err := db.committed(ctx)
	if err != nil {
		return r, err
	}
	if r.waiting, err = db.waiting(ctx); err != nil {
		return r, err
	}
	say("kill -9: %d grants are committed, and %d rows are left in the outbox.", len(before), r.waiting)

	second, err := start(ctx, p)
	if err != nil {
		return r, err
	}
	defer second.kill()
	say("It is started again, decides the rest, and relays what is left.")
	if err := second.wait(ctx, "decided"); err != nil {
		return r, errors.Join(err, second.failure())
	}
	committed, err := db.committed(ctx)
	if err != nil {
		return r, err
	}
	if err := rec.wait(ctx, len(committed)); err != nil {
		return r, errors.Join(err, second.failure())
	}
	if err := db.waitForRows(ctx, func(n int) bool { return n == 0 }); err != nil {
		return r, errors.Join(err, second.failure())
	}
	say("The service is asked to shut down.")
	if err := second.finish(); err != nil {
		return r, err
	}
	if r.left, err = db.waiting(ctx); err != nil {
		return r, err
	}
	r.committed, r.rolledBack = len(committed), grants-len(committed)
	r.arrived, r.stray, r.twice = rec.compare(committed)
	fmt.Fprintf(out, `
  grants committed            %6d
  grants rolled back          %6d
  events that arrived         %6d   (different ones)
  of those without a grant    %6d
  of those more than once     %6d   (in flight when it was killed; same webhook-id)
  rows left in the outbox     %6d
`, r.committed, r.rolledBack, r.arrived, r.stray, r.twice, r.left)
	if r.arrived != r.committed || r.stray != 0 || r.left != 0 {
		return r, errors.New("the receiver's count is not that of the committed grants")
	}
	return r, nil
}
