package main

import (
	"context"
	"errors"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// backlog shows that a delivery costs the same however many wait before it.
func backlog(most int) contest {
	c := contest{
		name: "backlog", title: "Ever longer backlogs", unit: "job", amount: most, ownOnly: true,
		work:    "So many jobs wait in a lane of Tocsin's memory queue, then all run. Time and memory of each should stay what they are.",
		metrics: []string{"bytes waiting, each, without the event"},
	}
	for _, share := range []int{100, 10, 1} {
		c.entrants = append(c.entrants, entrant{name: figure(float64(most/share)) + " waiting", part: share, open: openBacklog})
	}
	return c
}

func openBacklog(jobs int) (worker, error) {
	events, err := notes(jobs)
	if err != nil {
		return worker{}, err
	}
	m := queue.NewMemory(queue.MemoryOptions{IDWindow: 1})
	m.Bound("a", queue.Bound{Jobs: jobs})
	var left sync.WaitGroup
	left.Add(jobs)
	l, err := m.Open("a", queue.LaneOptions{}, func(context.Context, queue.Job) queue.Outcome {
		left.Done()
		return queue.Outcome{}
	})
	if err != nil {
		return worker{}, err
	}
	before := held()
	for i := range events {
		if err := m.Enqueue(context.Background(), queue.Job{Event: events[i], Route: "a"}); err != nil {
			return worker{}, errors.Join(err, l.Stop(context.Background()))
		}
	}
	size := float64(held()-before) / float64(jobs)
	return worker{
		do:      func(int) error { l.Limit(4); left.Wait(); return nil },
		figures: func() []float64 { return []float64{size} },
		close:   func() error { return l.Stop(context.Background()) },
	}, nil
}
