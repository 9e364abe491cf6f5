package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

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
		if err := b.queue.Enqueue(context.Background(), queue.Job{Event: e, Lane: "a", Generation: b.generation}); err != nil {
			return err
		}
	}
	return nil
}

func (b *backlogRun) run() {
	b.lane.Limit(4)
	b.left.Wait()
}

// dueEvery makes half a million retries due a second.
const dueEvery = 2 * time.Microsecond

// pendingRetries is the contest of waiting for retries to be due. All are pending before the first is due, lead later.
func pendingRetries(amount int, lead time.Duration) contest {
	c := contest{
		name:  "retries",
		title: "Pending retries",
		work: fmt.Sprintf("%s failed deliveries wait for their retry; then half a million a second are due. Processor time is that of "+
			"running them.", figure(float64(amount))),
		unit: "retry", amount: amount,
		metrics: []string{heldPerRetry, latestRetry},
	}
	for _, way := range []struct {
		name string
		part int
		pend func(r *retries) error
	}{
		{"time.AfterFunc", 1, afterFunc},
		{nameRetries, 1, memoryQueue},
		{"a goroutine each, asleep", 10, sleepers},
	} {
		c.entrants = append(c.entrants, entrant{name: way.name, part: way.part, open: func(units int) (worker, error) {
			return openRetries(units, lead, way.pend)
		}})
	}
	return c
}

// retries are those of one round.
type retries struct {
	n        int
	event    event.Event
	first    time.Time // when the first is due
	ran      atomic.Int64
	latest   atomic.Int64 // nanoseconds
	finished chan struct{}
	close    func() error
}

var errTooBusy = errors.New("the machine is too busy: retries were due before all were pending")

func openRetries(n int, lead time.Duration, pend func(*retries) error) (worker, error) {
	events, err := notes(1)
	if err != nil {
		return worker{}, err
	}
	r := &retries{n: n, event: events[0], finished: make(chan struct{})}
	before := held()
	r.first = time.Now().Add(lead)
	if err := pend(r); err != nil {
		return worker{}, err
	}
	size := float64(held()-before)/float64(n) - float64(unsafe.Sizeof(queue.Job{}))
	if time.Now().After(r.first) {
		return worker{}, errors.Join(errTooBusy, r.close())
	}
	return worker{
		do:      func(int) error { <-r.finished; return nil },
		figures: func() []float64 { return []float64{size, float64(r.latest.Load()) / 1e6} },
		close:   r.close,
	}, nil
}

func (r *retries) due(i int64) time.Time { return r.first.Add(time.Duration(i) * dueEvery) }

// run is the retry itself.
func (r *retries) run(due time.Time) {
	late := int64(time.Since(due))
	for old := r.latest.Load(); late > old && !r.latest.CompareAndSwap(old, late); old = r.latest.Load() {
	}
	if r.ran.Add(1) == int64(r.n) {
		close(r.finished)
	}
}

func memoryQueue(r *retries) error {
	m := memoryqueue.New(memoryqueue.Options{IDWindow: 1})
	m.Bound("a", queue.Bound{Jobs: r.n})
	l, err := m.Open("a", queue.LaneOptions{Limit: 4}, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Attempt == 0 {
			began := time.Now()
			return queue.Disposition{Action: queue.Retry, Began: began, Delay: r.due(j.Generation - 1).Sub(began)}
		}
		r.run(j.NotBefore)
		return queue.Disposition{Action: queue.Done}
	})
	if err != nil {
		return err
	}
	r.close = func() error { return l.Stop(context.Background()) }
	for i := range r.n {
		// Redeliveries of one event: its own memory is not what is measured.
		if err := m.Enqueue(context.Background(), queue.Job{Event: r.event, Lane: "a", Generation: int64(i + 1)}); err != nil {
			return errors.Join(err, r.close())
		}
	}
	return l.Drain(context.Background(), time.Time{})
}

func afterFunc(r *retries) error {
	jobs := make([]queue.Job, r.n)
	for i := range jobs {
		due := r.due(int64(i))
		time.AfterFunc(time.Until(due), func() { r.run(due) })
	}
	r.close = func() error { runtime.KeepAlive(jobs); return nil }
	return nil
}

func sleepers(r *retries) error {
	jobs := make([]queue.Job, r.n)
	for i := range jobs {
		due := r.due(int64(i))
		go func() {
			<-time.After(time.Until(due))
			r.run(due)
		}()
	}
	r.close = func() error { runtime.KeepAlive(jobs); return nil }
	return nil
}
