package main

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

// tocsinSQLite is Tocsin's queue in a file, as it comes, with ten lanes.
func tocsinSQLite() storageMaker {
	return storageMaker{
		name:   nameSQLite,
		traits: storageTraits{"a lane for each route", "by subject, or strict, where asked for", "yes", "skipped", "no"},
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
	return s.queue.Enqueue(ctx, queue.Job{Event: e, Route: lane, Enqueued: time.Now()})
}

func (s *sqliteStorage) close() error { return s.queue.Close() }
