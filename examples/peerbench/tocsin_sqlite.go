package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
)

const jobLanes = 10

// tocsinSQLite is sqlitequeue with the jobs spread over ten lanes.
func tocsinSQLite() jobStoreMaker {
	return jobStoreMaker{
		name: "Tocsin, sqlitequeue",
		traits: jobStoreTraits{
			"what waits, together", "for each lane", "by key, or of the whole lane", "counted and kept", "listed, queued again, discarded", "skipped, or refused when it differs",
		},
		open: func(path string, done func()) (jobStore, error) {
			q, err := sqlitequeue.Open(context.Background(), path, sqlitequeue.Options{})
			if err != nil {
				return jobStore{}, err
			}
			for i := range jobLanes {
				_, err := q.Open(jobLane(i), queue.LaneOptions{Limit: jobWorkers / jobLanes}, func(context.Context, queue.Job) queue.Outcome {
					done()
					return queue.Outcome{Action: queue.Done}
				})
				if err != nil {
					return jobStore{}, err
				}
			}
			var turn atomic.Int64
			return jobStore{
				put: func(ctx context.Context, e event.Event) error {
					return q.Enqueue(ctx, queue.Job{Event: e, Route: jobLane(int(turn.Add(1) % jobLanes)), Enqueued: time.Now()})
				},
				close: q.Close,
			}, nil
		},
	}
}

func jobLane(n int) string { return fmt.Sprint("lane-", n) }
