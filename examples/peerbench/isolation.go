package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

const (
	isolationRate  = 1000 // events a second
	isolationLimit = time.Second
	onTime         = 100 * time.Millisecond
)

// isolation is the contest of ten receivers of which one hangs: what do the others notice?
func isolation(events int) contest {
	c := contest{
		name:  "isolation",
		title: "Isolation: one of ten receivers hangs",
		work: fmt.Sprintf("%d events a second to ten receivers, one of which never answers; where there is a time limit, it is %v. "+
			"An event counts as late from the moment it was due, also when the library kept its publisher waiting. A library that "+
			"delivers in the publisher's time has %d publishers, one that queues has one.", isolationRate, isolationLimit, waitingCallers),
		unit: "delivery to a healthy receiver", amount: events, costless: true,
		metrics: []string{healthyShare, "no hang, %", healthyP99, usualP99, goroutinesMore, "KB/event"},
	}
	add := func(m busMaker, hanging int) {
		c.entrants = append(c.entrants, entrant{name: m.name, open: func(int) (worker, error) {
			var figures []float64
			return worker{
				do: func(units int) (err error) {
					figures, err = isolate(m, units, hanging)
					return err
				},
				figures: func() []float64 { return figures },
				close:   func() error { return nil },
			}, nil
		}})
	}
	for _, m := range buses() {
		add(m, 1)
	}
	add(tocsinBus(isolatedUntilLimit, limit(50*time.Millisecond)), 1)
	add(tocsinBus(isolatedFromFive, nil), 5)
	add(tocsinBus(isolatedFromNine, nil), 9)
	return c
}

// isolate returns the contest's metrics of one bus.
func isolate(m busMaker, events, hanging int) ([]float64, error) {
	well, err := runHang(m, events, 0)
	if err != nil {
		return nil, err
	}
	hung, err := runHang(m, events, hanging)
	if err != nil {
		return nil, err
	}
	return []float64{
		hung.share, well.share, milliseconds(hung.p99), milliseconds(well.p99), float64(hung.goroutines), hung.held / 1000,
	}, nil
}

func milliseconds(d time.Duration) float64 {
	if d == never {
		return math.Inf(1)
	}
	return float64(d.Microseconds()) / 1000
}

const never = time.Duration(math.MaxInt64)

// hang is a run in which some receivers never answer.
type hang struct {
	share      float64 // of what the healthy ones should have got in time, in percent
	p99        time.Duration
	goroutines int
	held       float64 // bytes per event
}

func runHang(m busMaker, count, hanging int) (_ hang, err error) {
	events, err := notes(count)
	if err != nil {
		return hang{}, err
	}
	late := make([][]atomic.Int64, receivers-hanging) // nanoseconds; 0 = not delivered
	release := make(chan struct{})
	began := time.Now() // set anew below, before the first event is published
	due := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second / isolationRate) }
	var sinks []sink
	for i := range receivers {
		if i >= len(late) {
			sinks = append(sinks, func(ctx context.Context, _ string) error { return hangUntil(ctx, release) })
			continue
		}
		late[i] = make([]atomic.Int64, count)
		sinks = append(sinks, func(_ context.Context, id string) error {
			n, err := noteNumber(id)
			if err == nil {
				late[i][n].CompareAndSwap(0, max(1, int64(time.Since(due(n)))))
			}
			return err
		})
	}
	b, err := m.open(events, sinks)
	if err != nil {
		return hang{}, err
	}
	memory, goroutines := held(), runtime.NumGoroutine()
	ctx, stop := context.WithCancel(context.Background())
	began = time.Now()
	var publishers sync.WaitGroup
	var next atomic.Int64
	for range m.callers {
		publishers.Go(func() {
			for n := int(next.Add(1)) - 1; n < count && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				<-time.After(time.Until(due(n)))
				limited, cancel := context.WithTimeout(ctx, isolationLimit)
				_ = b.publish(limited, n) // a receiver that hangs may be an error, and a backlog may be full
				cancel()
			}
		})
	}
	<-time.After(time.Until(due(count).Add(onTime + isolationLimit/10)))
	h := hang{goroutines: runtime.NumGoroutine() - goroutines, held: float64(held()-memory) / float64(count)}
	h.share, h.p99 = lateness(late)
	stop()
	close(release)
	publishers.Wait()
	err = b.close()
	if _, left := errors.AsType[*dispatcher.ShutdownError](err); left {
		err = nil // retries that are not due
	}
	return h, err
}

// lateness returns how much arrived in time, in percent of what should have, and the 99th percentile.
func lateness(late [][]atomic.Int64) (share float64, p99 time.Duration) {
	var all []time.Duration
	inTime := 0
	for i := range late {
		for n := range late[i] {
			d := time.Duration(late[i][n].Load())
			if d == 0 {
				d = never
			}
			if d <= onTime {
				inTime++
			}
			all = append(all, d)
		}
	}
	slices.Sort(all)
	return 100 * float64(inTime) / float64(len(all)), all[(len(all)*99+99)/100-1]
}
