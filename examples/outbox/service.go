package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

// planVariable is where the service finds its plan, as JSON.
const planVariable = "OUTBOX_PLAN"

// plan is what the service is to do.
type plan struct {
	Place  place
	URL    string // of the receiver
	Queue  string // file of the queue
	Grants int
}

func isService() bool { return os.Getenv(planVariable) != "" }

// service decides grants. It knows the outbox, and nothing of queues and receivers.
type service struct {
	db       *sql.DB
	outbox   *outbox.Outbox
	prefix   string // of tables
	shutDown func() error
}

var errNotApproved = errors.New("not approved")

// grant writes grant n and its event in one transaction. Each third is found not to be approved, and rolled back.
func (s *service) grant(ctx context.Context, n int) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %sgrants (id, person) VALUES (%d, 'Ada')", s.prefix, n)); err != nil {
		return err
	}
	active, err := event.New(event.GrantActive{Grant: event.Grant{Granted: event.Granted{ID: grantName(n)}}}, event.Meta{ID: grantName(n)})
	if err != nil {
		return err
	}
	if err := s.outbox.Dispatch(ctx, outbox.SQL(tx), active); err != nil {
		return err
	}
	if n%3 == 0 {
		return errNotApproved
	}
	return tx.Commit()
}

func grantName(n int) string { return fmt.Sprintf("grant-%d", n) }

// known reports whether grant n was committed in an earlier run.
func (s *service) known(ctx context.Context, n int) (known bool, err error) {
	err = s.db.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) > 0 FROM %sgrants WHERE id = %d", s.prefix, n)).Scan(&known)
	return known, err
}

// decide decides all grants that are not known, four at a time.
func (s *service) decide(ctx context.Context, grants int) error {
	errs := make([]error, 4)
	var all sync.WaitGroup
	for worker := range errs {
		all.Go(func() {
			for n := worker; n < grants && errs[worker] == nil; n += len(errs) {
				known, err := s.known(ctx, n)
				if err == nil && !known {
					err = s.grant(ctx, n)
				}
				if !errors.Is(err, errNotApproved) {
					errs[worker] = err
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// startService relays committed events to an Engine, which delivers them, until shutDown is called.
func startService(ctx context.Context, p plan) (*service, error) {
	queue, err := sqlitequeue.Open(ctx, p.Queue, sqlitequeue.Options{})
	if err != nil {
		return nil, err
	}
	engine, err := newEngine(queue, p.URL)
	if err != nil {
		return nil, err
	}
	db, box, err := p.Place.open()
	if err != nil {
		return nil, err
	}
	relay, err := outbox.NewRelay(db, box, engine, outbox.RelayOptions{Poll: 200 * time.Millisecond, Lease: time.Second})
	if err != nil {
		return nil, err
	}
	relaying, stop := context.WithCancel(ctx)
	delivered, relayed := make(chan error, 1), make(chan error, 1)
	go func() { delivered <- engine.Run(ctx) }()
	go func() { relayed <- relay.Run(relaying) }()
	shutDown := func() error {
		stop()
		err := <-relayed
		shutdown := engine.Shutdown(ctx)
		if left, ok := errors.AsType[*dispatcher.ShutdownError](shutdown); ok && left.Durable {
			shutdown = nil // a repetition that is not due yet: the queue has it at the next start
		}
		return errors.Join(err, shutdown, <-delivered, queue.Close(), db.Close())
	}
	return &service{db: db, outbox: box, prefix: p.Place.Prefix, shutDown: shutDown}, nil
}

// serve is the service in a process of its own: until its standard input ends, or somebody kills it.
func serve(ctx context.Context) error {
	var p plan
	if err := json.Unmarshal([]byte(os.Getenv(planVariable)), &p); err != nil {
		return err
	}
	s, err := startService(ctx, p)
	if err != nil {
		return err
	}
	err = s.decide(ctx, p.Grants)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, s.shutDown())
}

func newEngine(queue *sqlitequeue.Queue, url string) (*dispatcher.Engine, error) {
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		return nil, err
	}
	hook, err := webhook.New(webhook.Config{URL: url, Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}})
	if err != nil {
		return nil, err
	}
	return dispatcher.New(dispatcher.Config{
		Queue:  queue,
		Routes: []dispatcher.Route{{Name: "tickets", Channel: hook, Concurrency: 16}},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}
