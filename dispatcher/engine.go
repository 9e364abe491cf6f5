package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// Engine is the Dispatcher that delivers. All methods are safe for concurrent use. It never closes channels: whoever
// made one closes it, after SetRoutes or Shutdown returned.
type Engine struct {
	queue     queue.Queue
	precision time.Duration // by which a job may start late, and some more
	clock     *clock
	dedup     dedup.Store
	observers observers
	log       *slog.Logger
	source    string
	types     []event.Type // the host's own
	unrouted  unrouted
	index     atomic.Pointer[index]

	jobs sync.Pool // *[]queue.Job, kept for reuse because Dispatch is on the product's own path

	// accept lets in what adds jobs, so that once Shutdown has closed it nothing is added behind its back.
	accept     gate
	generation atomic.Int64
	fallbacks  atomic.Int64 // dead deliveries passed on so far
	started    atomic.Bool  // Run was called
	idle       sync.Once    // starts the time after which it is missed
	drainBy    atomic.Pointer[time.Time]
	lateEvents lateEvents

	// admin serialises Run, SetRoutes and Shutdown; a channel, because Shutdown's wait for it must end with its context.
	admin    chan struct{}
	running  context.Context  // Run's; nil before
	lanes    map[string]*lane // by route name, also of removed routes that still send
	replaced []*bound         // routes that were replaced or removed and may still send
	schedule queue.Lane

	finished chan struct{}  // closed when nothing runs any more, after the fields below were set
	sending  map[string]int // sends that ignored the end of their context, by lane
	cause    error          // why Run's context had ended by then; nil = it had not
}

var _ Dispatcher = (*Engine)(nil)

// New makes an Engine. It reports every mistake in c at once, as joined *channel.ConfigErrors. Nothing is delivered before Run,
// but Dispatch already queues; if it does so for a minute, that is logged.
func New(c Config) (*Engine, error) {
	parts := errors.Join(checkPart("Queue", c.Queue), checkPart("DedupStore", c.DedupStore))
	e := &Engine{
		queue:    c.Queue,
		dedup:    c.DedupStore,
		log:      c.Logger,
		source:   c.Source,
		types:    slices.Clone(c.EventTypes),
		accept:   gate{empty: make(chan struct{})},
		admin:    make(chan struct{}, 1),
		finished: make(chan struct{}),
		lanes:    map[string]*lane{},
	}
	if isNil(e.queue) {
		e.queue = memoryqueue.New(memoryqueue.Options{})
	}
	if isNil(e.dedup) {
		e.dedup = dedup.NewMemory(dedup.MemoryOptions{})
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	promises := e.queue.Properties()
	e.precision, e.clock = 2*promises.Precision, newClock(promises.MovedTimes)
	e.observers = newObservers(c.Observers, e.log)
	routes, err := e.bind(c.Routes)
	if err := errors.Join(parts, checkSource(c.Source), err); err != nil {
		return nil, err
	}
	e.queue.Bound(ScheduleLane, queue.Bound{Jobs: maxScheduled})
	if _, err := e.install(routes); err != nil {
		return nil, err
	}
	return e, nil
}

// Dispatch implements Dispatcher.
func (e *Engine) Dispatch(ctx context.Context, events ...event.Event) error {
	if err := check(events); err != nil {
		return err
	}
	if !e.accept.enter() {
		return ErrShutdown
	}
	defer e.accept.leave()
	return e.fanOut(ctx, events)
}

func check(events []event.Event) error {
	for i, ev := range events {
		if ev.IsZero() {
			return &EventError{Index: i, Err: errNoEvent}
		}
	}
	return nil
}

var errNoEvent = errors.New("its Type is empty: make events with event.New")

// fanOut stores a job for each event and matching route.
func (e *Engine) fanOut(ctx context.Context, events []event.Event) error {
	pooled, _ := e.jobs.Get().(*[]queue.Job)
	if pooled == nil {
		pooled = new([]queue.Job)
	}
	batch := (*pooled)[:0]
	defer func() {
		if cap(batch) > maxPooledJobs {
			return
		}
		clear(batch)
		*pooled = batch[:0]
		e.jobs.Put(pooled)
	}()
	var few [4]event.Event
	unwanted := few[:0]
	now := e.clock.now()
	x := e.index.Load()
	for _, ev := range events {
		ev = ev.WithSource(e.source)
		before := len(batch)
		for _, b := range x.candidates(ev) {
			if b.Events.Match(ev) {
				batch = append(batch, queue.Job{})
				j := &batch[len(batch)-1] // filled in place: a job is large
				j.Event, j.Route, j.OrderKey, j.Enqueued, j.Urgent = ev, b.Name, b.orderKey(ev), now, b.isUrgent(ev)
			}
		}
		if len(batch) == before {
			unwanted = append(unwanted, ev)
		}
	}
	if err := e.enqueue(ctx, batch); err != nil {
		return named(err, events)
	}
	for _, ev := range unwanted {
		e.missed(x, ev, now)
	}
	for _, notify := range e.observers.dispatched {
		for i := 0; i < len(batch); {
			n := 1
			for i+n < len(batch) && batch[i+n].Event.ID() == batch[i].Event.ID() {
				n++
			}
			notify(batch[i].Event, n)
			i += n
		}
	}
	return nil
}

// maxPooledJobs is the most jobs of a batch whose memory is kept for the next one.
const maxPooledJobs = 1024

func (e *Engine) enqueue(ctx context.Context, batch []queue.Job) error {
	if len(batch) == 0 {
		return ctx.Err()
	}
	if !e.started.Load() {
		e.idle.Do(e.missRun)
	}
	return e.queue.Enqueue(ctx, batch...)
}

// runGrace is how long events may be queued before Run is missed.
const runGrace = time.Minute

// missRun logs that nothing delivers what is queued, unless Run is called soon. With a durable queue that can be meant:
// another process may deliver.
func (e *Engine) missRun() {
	level := slog.LevelWarn
	if e.queue.Properties().Durable {
		level = slog.LevelInfo
	}
	time.AfterFunc(runGrace, func() {
		if !e.started.Load() && !e.accept.isClosed() {
			e.log.Log(context.Background(), level, "tocsin: events are queued but Run was not called: this process delivers nothing")
		}
	})
}

// named says which of the events a conflict is about.
func named(err error, events []event.Event) error {
	conflict, ok := errors.AsType[*ConflictError](err)
	if !ok {
		return err
	}
	for i, ev := range events {
		if ev.ID() == conflict.EventID {
			return &EventError{Index: i, ID: ev.ID(), Err: err}
		}
	}
	return err
}
