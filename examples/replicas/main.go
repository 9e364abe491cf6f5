// Replicas shows one program that runs as three processes on one PostgreSQL, which all deliver: each route belongs to
// one of them at a time. One is killed with -9, one leaves politely, and the receiver counts: every event arrived, how
// many twice, how long a route paused, and who delivered it. The program is the receiver and dispatches; started by
// itself, it is a replica.
//
// DATABASE_URL names the database; without it, it is that of user postgres on this machine. The tables are in a schema
// of their own that is dropped at the end.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/event"
)

const (
	replicas = 3
	events   = 500
	pace     = 15 * time.Millisecond // between two events
	lease    = 2 * time.Second       // after which the routes of a replica that died are given to others
	usual    = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
)

func main() {
	if isReplica() {
		if err := runReplica(context.Background()); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout, cmp.Or(os.Getenv("DATABASE_URL"), usual)); err != nil {
		log.Fatal(err)
	}
}

// result is what the receiver saw.
type result struct {
	arrived, twice int           // of events × routes
	pause          time.Duration // the longest of a route
}

// run runs the scenario, printing to out.
func run(ctx context.Context, out io.Writer, database string) (r result, err error) {
	to := newReceiver()
	defer to.Close()
	p := plan{Database: database, Schema: fmt.Sprintf("replicas_example_%d", time.Now().UnixNano()), URL: to.URL}
	q, engine, err := p.open(ctx)
	if err != nil {
		return r, fmt.Errorf("no PostgreSQL, set DATABASE_URL: %w", err)
	}
	defer func() { err = errors.Join(err, q.Close(), drop(p)) }()
	var all []*process
	defer func() {
		for _, child := range all {
			child.kill()
		}
	}()
	for n := range replicas {
		child, err := start(ctx, p, string(rune('A'+n)))
		if err != nil {
			return r, err
		}
		all = append(all, child)
	}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	say("Three replicas deliver %d events to each of %d routes, one every %v.", events, len(routeNames()), pace)
	say("Routes and who delivers them:          %s", strings.Join(routeNames(), " "))
	owners := func(when string) { say("  %-37s%s", when, to.owners()) }

	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for n := range events {
		switch n {
		case events / 5:
			owners("before")
			all[0].kill()
			say("kill -9 of A; %d deliveries have arrived", to.arrived())
		case events * 3 / 5:
			owners("since then")
			if err := all[1].finish(); err != nil {
				return r, err
			}
			say("B is asked to shut down, and has; %d deliveries have arrived", to.arrived())
		}
		e := event.Must(event.GrantRevoked{Reason: "example"}, event.Meta{Subject: fmt.Sprintf("grant-%d", n)})
		if err := engine.Dispatch(ctx, e); err != nil {
			return r, err
		}
		<-ticker.C
	}
	if err := to.wait(ctx, events*len(routeNames())); err != nil {
		return r, err
	}
	owners("at the end")
	if err := all[2].finish(); err != nil { // what comes twice has come
		return r, err
	}
	r = to.result()
	fmt.Fprintf(out, `
  deliveries dispatched           %6d
  deliveries that arrived         %6d   (different ones)
  of those more than once         %6d   (in flight when A was killed; same webhook-id)
  longest pause of a route        %5.2fs   (after kill -9; the lease is %v)
`, events*len(routeNames()), r.arrived, r.twice, r.pause.Seconds(), lease)
	return r, engine.Shutdown(ctx)
}

func drop(p plan) error {
	conn, err := pgx.Connect(context.Background(), p.Database)
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), "DROP SCHEMA "+p.Schema+" CASCADE")
	return errors.Join(err, conn.Close(context.Background()))
}
