package main

import (
	"context"
	"errors"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// backlog shows that a job costs the same however many wait before it.
func backlog(most int) contest {
	c := contest{
		name: "backlog", title: "Ever longer backlogs", unit: "job", amount: most,
		work: "Jobs are put into a lane of Tocsin's memory queue until so many wait, then all run, and again, until all have done the " +
			"same number. Time and memory of each should stay what they are.",
		metrics: []string{heldPerJob},
	}
	for _, share := range []int{1000, 100, 10, 1} {
		waiting := max(1, most/share)
		c.entrants = append(c.entrants, entrant{name: waitingName(waiting), open: func(int) (worker, error) { return openBacklog(waiting) }})
	}
	return c
}

func waitingName(n int) string { return figure(float64(n)) + " waiting" }

func openBacklog(waiting int) (worker, error) {
	events, err := notes(waiting)
	if err != nil {
		return worker{}, err
	}
	b := &backlogRun{events: events, queue: memoryqueue.New(memoryqueue.Options{IDWindow: 1})}
	b.queue.Bound("a", queue.Bound{Jobs: waiting})
	b.lane, err = b.queue.Open("a", queue.LaneOptions{}, func(context.Context, queue.Job) queue.Disposition {
		b.left.Done()
		return queue.Disposition{}
	})
	if err != nil {
		return worker{}, err
	}
	stop := func() error { return b.lane.Stop(context.Background()) }
	before := held()
	if err := b.fill(); err != nil {
		return worker{}, errors.Join(err, stop())
	}
	size := float64(held()-before) / float64(waiting)
	b.run()
	return worker{
		do: func(units int) error {
			for range units / waiting {
				if err := b.fill(); err != nil {
					return err
				}
				b.run()
			}
			return nil
		},
		figures: func() []float64 { return []float64{size} },
		close:   stop,
	}, nil
}

// backlogRun is a lane that is filled and emptied.
type backlogRun struct {
	queue      *memoryqueue.Queue
	lane       queue.Lane
	events     []event.Event
	generation int64 // the same events, as other jobs each time
	left       sync.WaitGroup
}

func (b *backlogRun) fill() error {
	b.lane.Limit(0)
	b.left.Add(len(b.events))
	b.generation++
	for _, e := range b.events {
		if err := b.queue.Enqueue(context.Background(), queue.Job{Event: e, Route: "a", Generation: b.generation}); err != nil {
			return err
		}
	}
	return nil
}

func (b *backlogRun) run() {
	b.lane.Limit(4)
	b.left.Wait()
}
