package main

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/event"
)

const (
	receivers = 10
	// inFlight is how far a publisher may run ahead, in events, as any product's own pace would bound it.
	inFlight = 512
)

// fanOut is the contest of handing one event to ten receivers that do nothing.
func fanOut(amount int) contest {
	c := contest{
		name:  "fan-out",
		title: "Fan-out in process",
		work:  "One event to ten receivers that do nothing but count, at most " + strconv.Itoa(inFlight) + " events ahead.",
		unit:  "delivery", amount: amount, warm: amount / 10,
		traits: []string{"errors of receivers", "retries", "time limit", "a hung receiver holds up", "backlog"},
	}
	for _, b := range buses() {
		c.entrants = append(c.entrants, entrant{
			name: b.name, traits: b.traits, part: b.part,
			open: func(units int) (worker, error) { return openFanOut(b, units, receivers) },
		})
	}
	return c
}

// openFanOut makes a worker whose units are deliveries; an event makes as many as there are sinks.
func openFanOut(m busMaker, units, sinks int) (worker, error) {
	events, err := notes(units/sinks + 2)
	if err != nil {
		return worker{}, err
	}
	f, all := newFanOutRun(m.callers, sinks)
	f.bus, err = m.open(events, all)
	if err != nil {
		return worker{}, err
	}
	return worker{do: f.do, close: f.bus.close}, nil
}

// newFanOutRun returns a run that wants a bus, and the sinks that bus is to have.
func newFanOutRun(callers, sinks int) (*fanOutRun, []sink) {
	f := &fanOutRun{callers: callers, tallies: make([]tally, sinks), progress: make(chan struct{}, 1)}
	all := make([]sink, sinks)
	for i := range all {
		all[i] = f.sink(i)
	}
	return f, all
}

// fanOutRun is a bus at work.
type fanOutRun struct {
	bus       bus
	callers   int
	published int // events
	tallies   []tally
	open      sync.WaitGroup // sinks that have not got everything
	progress  chan struct{}  // some sink has got more, for a publisher that is too far ahead
}

// tally counts what one sink got, on a cache line of its own.
type tally struct {
	got, want atomic.Int64
	_         [48]byte
}

func (f *fanOutRun) sink(i int) sink {
	t := &f.tallies[i]
	return func(context.Context, string) error {
		got := t.got.Add(1)
		if got == t.want.Load() {
			f.open.Done()
		}
		if got%(inFlight/8) == 0 { // a sink that is inFlight behind comes by here before it has caught up
			select {
			case f.progress <- struct{}{}:
			default:
			}
		}
		return nil
	}
}

func (f *fanOutRun) do(units int) error {
	events := max(1, units/len(f.tallies))
	f.open.Add(len(f.tallies))
	for i := range f.tallies {
		f.tallies[i].want.Add(int64(events))
	}
	next := atomic.Int64{}
	next.Store(int64(f.published))
	f.published += events
	failed := make(chan error, f.callers)
	for range f.callers {
		go func() { failed <- f.publish(&next) }()
	}
	for range f.callers {
		if err := <-failed; err != nil {
			return err
		}
	}
	f.open.Wait()
	return nil
}

func (f *fanOutRun) publish(next *atomic.Int64) error {
	slowest := f.slowest()
	for {
		n := int(next.Add(1)) - 1
		if n >= f.published {
			return nil
		}
		for int64(n) >= slowest+inFlight {
			if slowest = f.slowest(); int64(n) >= slowest+inFlight {
				<-f.progress
			}
		}
		if err := f.bus.publish(context.Background(), n); err != nil {
			return err
		}
	}
}

// slowest is how many events the sink has got that is furthest behind.
func (f *fanOutRun) slowest() int64 {
	least := f.tallies[0].got.Load()
	for i := range f.tallies {
		least = min(least, f.tallies[i].got.Load())
	}
	return least
}

// sink takes one delivery of the event with this id.
type sink func(ctx context.Context, id string) error

// bus gives each of the events that it was opened with to each of its sinks.
type bus struct {
	// publish gives event number n away. It returns once that is done, or, where callers is 1, once it is queued.
	publish func(ctx context.Context, n int) error
	close   func() error
}

// busMaker is a library's way from one event to many receivers.
type busMaker struct {
	name    string
	callers int // how many call publish at a time: 1 where it only queues
	part    int // see entrant
	traits  []string
	open    func(events []event.Event, sinks []sink) (bus, error)
}

// waitingCallers is for libraries that deliver in the caller's time.
const waitingCallers = 64

// buses are those compared; the first is the floor.
func buses() []busMaker {
	return []busMaker{
		goChannels(),
		tocsinBus(withDefaults, nil),
		tocsinBus(withoutLimit, noLimit(0)),
		tocsinBus("Tocsin, no time limit, 1 sender a route", noLimit(1)),
		notifyBus(),
		alertmanagerBus(),
		alertmanagerLogBus(),
		eventloggerBus(),
		watermillChannelBus(),
		watermillRouterBus(),
	}
}

// notes are n small events: what is measured is the way to the receiver, not the event.
func notes(n int) ([]event.Event, error) {
	all := make([]event.Event, n)
	for i := range all {
		e, err := event.New(note{"somebody asks for access"}, event.Meta{ID: noteID(i)})
		if err != nil {
			return nil, err
		}
		all[i] = e
	}
	return all, nil
}

// note is the payload of such an event.
type note struct {
	Text string `json:"text"`
}

// EventType implements event.Payload.
func (note) EventType() event.Type { return "peerbench.note" }

const notePrefix = "note-"

// noteID is the id of event number n.
func noteID(n int) string { return notePrefix + strconv.Itoa(n) }

// noteNumber is the number in an id that noteID made.
func noteNumber(id string) (int, error) { return strconv.Atoi(id[len(notePrefix):]) }
