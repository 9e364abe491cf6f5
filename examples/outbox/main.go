// Outbox shows that an event is delivered if and only if the transaction it belongs to commits. A grant service writes
// each grant and its event in one transaction, rolls some back, and is killed with -9 between commits and their relay;
// it is started again, and the receiver counts. The program is the receiver and, started by itself, the service that is
// killed.
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

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
)

// total is how many grants the service decides.
const total = 3000

func main() {
	if isService() {
		if err := serve(context.Background()); err != nil {
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
	rec, err := webhooktest.New(webhooktest.Options{})
	if err != nil {
		return r, err
	}
	defer rec.Close()
	p := plan{Place: db.place, URL: rec.URL, Queue: filepath.Join(folder, "queue.db"), Grants: grants}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}

	say("The service starts on %s. It decides %d grants; each third is rolled back.", db.place.Dialect, grants)
	alive, kill, err := start(ctx, p)
	if err != nil {
		return r, err
	}
	defer kill()
	if err := waitForEvents(alive, rec, grants/5); err != nil {
		return r, errors.Join(err, context.Cause(alive))
	}
	// So that it is between a commit and its relay.
	if err := db.waitForRows(alive, func(n int) bool { return n > 0 }); err != nil {
		return r, errors.Join(err, context.Cause(alive))
	}
	kill()
	before, err := db.committed(ctx)
	if err != nil {
		return r, err
	}
	if r.waiting, err = db.waiting(ctx); err != nil {
		return r, err
	}
	say("kill -9: %d grants are committed, and %d rows are left in the outbox.", len(before), r.waiting)

	say("It is started again, now in this process, decides the rest, and relays what is left.")
	second, err := startService(ctx, p)
	if err != nil {
		return r, err
	}
	if err := second.decide(ctx, grants); err != nil {
		return r, errors.Join(err, second.shutDown())
	}
	committed, err := db.committed(ctx)
	if err == nil {
		err = waitForEvents(ctx, rec, len(committed))
	}
	if err == nil {
		err = db.waitForRows(ctx, func(n int) bool { return n == 0 })
	}
	say("The service shuts down.")
	if err = errors.Join(err, second.shutDown()); err != nil {
		return r, err
	}
	if r.left, err = db.waiting(ctx); err != nil {
		return r, err
	}
	r.committed, r.rolledBack = len(committed), grants-len(committed)
	times, err := arrivals(rec)
	if err != nil {
		return r, err
	}
	r.compare(times, committed)
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
