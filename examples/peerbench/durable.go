package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

const (
	producers    = 64
	queueWorkers = 160
	singleJobs   = 200 // one at a time, for the latency
)

// storage is a queue in a file. put returns once a job is on the disk; what follows the handler is the storage's own to
// record.
type storage interface {
	put(ctx context.Context, e event.Event) error
	close() error
}

// storageMaker opens one in the file path; handle is the handler of its jobs.
type storageMaker struct {
	name   string
	traits []string
	part   int
	open   func(path string, handle func(id string)) (storage, error)
}

// durable is the contest of queues in one SQLite file.
func durable(amount int) contest {
	c := contest{
		name:  "durable",
		title: "Durable queue on SQLite",
		work: fmt.Sprintf("Events of about 1 KiB are put by %d goroutines, run by %d, and recorded as done, all at once; every commit "+
			"is synced (WAL, synchronous=FULL), all use modernc.org/sqlite. Latency is from putting one job to its handler, with "+
			"nothing else to do.", producers, queueWorkers),
		unit: "job", amount: amount, warm: amount / 10,
		metrics: []string{"p50, ms", "p99, ms"},
		traits:  []string{"isolation", "order", "retries and dead letters", "the same id again", "jobs a host inserts in its own transaction"},
	}
	for _, m := range []storageMaker{plainTable(), tocsinSQLite(), riverQueue()} {
		c.entrants = append(c.entrants, entrant{
			name: m.name, traits: m.traits, part: m.part,
			open: func(units int) (worker, error) { return openDurable(m, units) },
		})
	}
	return c
}

func openDurable(m storageMaker, units int) (worker, error) {
	events, err := reasons(units + singleJobs)
	if err != nil {
		return worker{}, err
	}
	dir, err := os.MkdirTemp("", "peerbench")
	if err != nil {
		return worker{}, err
	}
	d := &durableRun{events: events, handled: make(chan struct{}, units+singleJobs)}
	d.storage, err = m.open(filepath.Join(dir, "queue.db"), func(string) { d.handled <- struct{}{} })
	if err != nil {
		_ = os.RemoveAll(dir)
		return worker{}, err
	}
	return worker{
		do: d.do,
		figures: func() []float64 {
			p50, p99 := d.latency()
			return []float64{p50, p99}
		},
		close: func() error {
			err := d.storage.close()
			_ = os.RemoveAll(dir)
			if err == nil {
				err = d.failed
			}
			return err
		},
	}, nil
}

// durableRun is a storage at work.
type durableRun struct {
	storage storage
	events  []event.Event
	handled chan struct{}
	failed  error // while the latency was measured
}

func (d *durableRun) do(units int) error {
	events := d.events[:units]
	d.events = d.events[units:]
	var next atomic.Int64
	failed := make(chan error, producers)
	for range producers {
		go func() {
			for n := next.Add(1); n <= int64(units); n = next.Add(1) {
				if err := d.storage.put(context.Background(), events[n-1]); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	var err error
	for range producers {
		if e := <-failed; e != nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	for range units {
		<-d.handled
	}
	return nil
}

// latency puts the last jobs one by one and returns milliseconds.
func (d *durableRun) latency() (p50, p99 float64) {
	var all []float64
	for _, e := range d.events {
		began := time.Now()
		if d.failed = d.storage.put(context.Background(), e); d.failed != nil {
			return 0, 0
		}
		<-d.handled
		all = append(all, float64(time.Since(began).Microseconds())/1000)
		<-time.After(2 * time.Millisecond)
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*99/100]
}

// reasons are n events whose JSON is about 1 KiB.
func reasons(n int) ([]event.Event, error) {
	all := make([]event.Event, n)
	payload := event.GrantRevoked{Reason: strings.Repeat("because ", 100)}
	for i := range all {
		e, err := event.New(payload, event.Meta{ID: "e" + strconv.Itoa(i)})
		if err != nil {
			return nil, err
		}
		all[i] = e
	}
	return all, nil
}

// tocsinSQLite is Tocsin's queue in a file, with defaults, with ten lanes.
func tocsinSQLite() storageMaker {
	return storageMaker{
		name:   nameSQLite,
		traits: []string{"a lane for each route", "by subject, or strict, where asked for", "yes", "skipped", "no"},
		open: func(path string, handle func(string)) (storage, error) {
			q, err := sqlitequeue.Open(context.Background(), path, sqlitequeue.Options{})
			if err != nil {
				return nil, err
			}
			for i := range receivers {
				_, err := q.Open(laneName(i), queue.LaneOptions{Limit: queueWorkers / receivers}, func(_ context.Context, j queue.Job) queue.Disposition {
					handle(j.Event.ID())
					return queue.Disposition{Action: queue.Done}
				})
				if err != nil {
					return nil, errors.Join(err, q.Close())
				}
			}
			return &sqliteStorage{q, maphash.MakeSeed()}, nil
		},
	}
}

type sqliteStorage struct {
	queue *sqlitequeue.Queue
	seed  maphash.Seed
}

func laneName(n int) string { return "lane-" + strconv.Itoa(n) }

func (s *sqliteStorage) put(ctx context.Context, e event.Event) error {
	lane := laneName(int(maphash.String(s.seed, e.ID()) % receivers))
	return s.queue.Enqueue(ctx, queue.Job{Event: e, Lane: lane, Enqueued: time.Now()})
}

func (s *sqliteStorage) close() error { return s.queue.Close() }
