package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
)

// Engine is the Dispatcher that delivers. All methods are safe for concurrent use. It never closes channels: whoever
// made one closes it, after SetRoutes, SetTenant or Shutdown returned.
type Engine struct {
	queue     queue.Queue
	precision time.Duration // by which a job may start late, and some more
	clock     *clock
	dedup     dedup.Store
	observers observers
	log       *slog.Logger
	source    string
	types     []event.Type // the host's own
	// tenantBacklog is Config.TenantBacklog.
	tenantBacklog int
	table         atomic.Pointer[routeTable]

	// calls lets in what adds jobs, so that once Shutdown has closed it nothing is added behind its back.
	calls          gate
	batches        sync.Pool    // of *[]queue.Job: they are a quarter of what Dispatch costs
	generation     atomic.Int64 // of the latest redelivery
	unrouted       atomic.Int64
	unroutedLogged atomic.Pointer[time.Time]
	fallbacks      atomic.Int64 // dead deliveries passed on so far
	started        atomic.Bool  // Run was called
	runExpected    sync.Once
	drainUntil     atomic.Pointer[time.Time]
	lateEvents     lateEvents

	// admin serialises Run, Shutdown and changes of routes, but not what these wait for; a channel, because Shutdown's
	// wait for it must end with its context.
	admin     chan struct{}
	running   context.Context   // Run's; nil before
	lanes     map[RouteID]*lane // also of removed routes that still send
	uses      map[channel.Channel]*channelUse
	unused    map[*channelUse]struct{} // those without a route in force
	positions int                      // of tenants, so far
	schedule  queue.Lane               // nil before Run, and without queue.Properties.Scheduling

	finished chan struct{}  // closed when nothing runs any more, after the fields below were set
	sending  map[string]int // sends that ignored the end of their context, by lane
	cause    error          // why Run's context had ended by then; nil = it had not
}

// New makes an Engine. It reports every mistake in c at once, as joined *channel.ConfigErrors. Nothing is delivered
// before Run, but Dispatch already queues; if it does so for a minute, that is logged.
func New(c Config) (*Engine, error) {
	parts := errors.Join(validatePart("Queue", c.Queue), validatePart("DedupStore", c.DedupStore), validateSource(c.Source))
	e := &Engine{
		queue:         c.Queue,
		dedup:         c.DedupStore,
		log:           c.Logger,
		source:        c.Source,
		types:         slices.Clone(c.EventTypes),
		tenantBacklog: c.TenantBacklog,
		calls:         gate{empty: make(chan struct{})},
		admin:         make(chan struct{}, 1),
		finished:      make(chan struct{}),
		lanes:         map[RouteID]*lane{},
		uses:          map[channel.Channel]*channelUse{},
		unused:        map[*channelUse]struct{}{},
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
	e.observers = observers{slices.Clone(c.Observers), e.log}
	parts = errors.Join(parts, e.validateTenantBacklog())
	e.table.Store(newRouteTable())
	p, err := e.plan(c.Routes, scope{all: true})
	if err := errors.Join(parts, err); err != nil {
		return nil, err
	}
	e.queue.Bound(ScheduleLane, queue.Bound{Jobs: maxScheduled})
	e.install(context.Background(), p)
	return e, nil
}

// Run delivers until Shutdown, then it returns nil, or until ctx is done: then it cancels every send, returns when they
// have returned, or queue.StopGrace later, and gives ctx's cause. What was not delivered stays in the queue. An Engine
// runs once: a second Run is ErrRunning or ErrShutdown.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.start(ctx); err != nil {
		return err
	}
	select {
	case <-e.finished:
	case <-ctx.Done():
		if e.calls.close() {
			e.stop(ctx)
		} else {
			<-e.finished // Shutdown runs, and sees that ctx is done
		}
	}
	return e.cause
}

func (e *Engine) start(ctx context.Context) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.unlock()
	if e.calls.isClosed() {
		return ErrShutdown
	}
	if e.running != nil {
		return ErrRunning
	}
	if err := e.openLanes(); err != nil {
		e.stopLanes(ctx)
		return err
	}
	e.running = ctx
	e.started.Store(true)
	return nil
}

func (e *Engine) openLanes() error {
	if err := e.openSchedule(); err != nil {
		return err
	}
	for _, l := range e.lanes {
		if err := l.open(); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown stops accepting events, delivers what is due, and lets Run return. With a deadline in ctx it also waits for
// what comes due before that: retries, scheduled events, and what is postponed or held back by a rate or by the
// receiver's own word. Without one it waits for what is paced by seconds, but for no retry. It does not wait for a
// destination that is down: a lane whose breaker is open, or that may start nothing before the end, is left. When ctx
// is done first, it cancels the sends that still run and waits for them up to queue.StopGrace. It lets calls of
// Dispatch that are under way finish, whatever ctx says. A nil error says that nothing is left, as far as the queue can
// tell (queue.Properties); otherwise *ShutdownError says what is. With a durable queue that is delivered after the next
// start. To count it takes up to two seconds after ctx is done. A Shutdown after the first one, or after Run's context
// ended, waits for that and reports the same.
//
// One that comes before Run has begun delivers nothing and reports all that was dispatched as left. A program that ends
// at once, with Run in a goroutine that was only just started, therefore waits for its deliveries first:
// Observer.Settled.
func (e *Engine) Shutdown(ctx context.Context) error {
	if e.calls.close() {
		e.drain(ctx)
		e.stop(ctx)
	}
	if err := wait(ctx, e.finished); err != nil {
		return err
	}
	return e.leftover(ctx)
}

// wait returns nil once done is closed, or ctx's error. When both are so, done counts.
func wait(ctx context.Context, done <-chan struct{}) error {
	if isDone(done) {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// lock takes the right to change lanes. A right that is free is given although ctx is done, so that what happens then
// does not depend on chance.
func (e *Engine) lock(ctx context.Context) error {
	select {
	case e.admin <- struct{}{}:
		return nil
	default:
	}
	select {
	case e.admin <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) unlock() { <-e.admin }

// drainTimeout is for how long a lane that may not start anything yet is waited for.
func (e *Engine) drainTimeout() time.Duration {
	if until := e.drainUntil.Load(); until != nil {
		return time.Until(*until)
	}
	return maxPaced
}

// drain waits for what is due, or comes due before ctx's deadline: first the schedule, which feeds the lanes.
func (e *Engine) drain(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if e.lock(ctx) != nil {
		return
	}
	defer e.unlock()
	if e.running == nil {
		return
	}
	defer context.AfterFunc(e.running, cancel)()
	until, limited := ctx.Deadline()
	if limited {
		e.drainUntil.Store(&until)
	}
	if e.schedule != nil && e.schedule.Drain(ctx, until) != nil {
		return
	}
	for before := int64(-1); before != e.fallbacks.Load(); { // what is dead may go to a lane that was drained already
		before = e.fallbacks.Load()
		for _, l := range e.lanes {
			if l.drain(ctx, until) != nil {
				return
			}
		}
	}
}

// stop ends all lanes and with that Run.
func (e *Engine) stop(ctx context.Context) {
	// A change of routes holds the lock for a moment only, so this does not wait long, whatever ctx says.
	e.admin <- struct{}{}
	defer e.unlock()
	if e.running != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(e.running, cancel)()
	}
	e.sending = e.stopLanes(ctx)
	if e.running != nil {
		e.cause = context.Cause(e.running)
	}
	close(e.finished)
}

// stopLanes stops the lanes side by side, so that hanging sends cost one grace and not one each. It returns how many
// sends of which lane ignored the end of their context.
func (e *Engine) stopLanes(ctx context.Context) map[string]int {
	var mu sync.Mutex
	sending := map[string]int{}
	var wg sync.WaitGroup
	each := func(stop func(context.Context) error) {
		wg.Go(func() {
			if still, ok := errors.AsType[*queue.StillRunningError](stop(ctx)); ok {
				mu.Lock()
				defer mu.Unlock()
				sending[still.Lane] = still.Handlers
			}
		})
	}
	if e.schedule != nil {
		each(e.schedule.Stop)
	}
	for _, l := range e.lanes {
		each(l.stop)
	}
	wg.Wait()
	return sending
}

// countGrace is how long a shutdown may count what it left after its context is done.
const countGrace = 2 * time.Second

// leftover counts what a shutdown leaves. Its context may be done already, but nobody counts later.
func (e *Engine) leftover(ctx context.Context) error {
	left := map[string]Left{}
	for name, n := range e.sending {
		left[name] = Left{Route: channel.ParseRouteID(name), Sending: n}
	}
	err := &ShutdownError{Durable: e.queue.Properties().Durable}
	if e.queue.Properties().Inspection {
		counting, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() { time.AfterFunc(countGrace, cancel) })()
		names, failed := e.queue.Lanes(counting)
		if failed != nil {
			return failed
		}
		var counts []*queue.Counts
		counts, err.Err = countLanes(counting, e.queue, names)
		for i, c := range counts {
			name := names[i]
			switch {
			case c == nil:
				left[name] = Left{Route: channel.ParseRouteID(name), Queued: -1, Sending: e.sending[name]}
			case c.Waiting() > 0:
				left[name] = Left{Route: channel.ParseRouteID(name), Queued: c.Waiting(), Sending: e.sending[name]}
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		err.Left = append(err.Left, left[name])
	}
	return err
}

// gate lets calls in until it is closed, and its closing waits until the last of them has left. Unlike with a read
// lock, a call can try to enter again from inside while somebody closes it: an observer that dispatches must not block
// a shutdown.
type gate struct {
	closed atomic.Bool // changed with mu held

	mu    sync.Mutex
	calls int           // inside
	empty chan struct{} // closed when the gate is and the last call has left
}

// enter reports whether the call may go on; if so, it has to leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() {
		return false
	}
	g.calls++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls--
	if g.calls == 0 && g.closed.Load() {
		close(g.empty)
	}
}

// close refuses all later calls and waits for those inside. It reports whether it was the first, which alone waits.
func (g *gate) close() bool {
	g.mu.Lock()
	if g.closed.Load() {
		g.mu.Unlock()
		return false
	}
	g.closed.Store(true)
	if g.calls == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	<-g.empty
	return true
}

func (g *gate) isClosed() bool { return g.closed.Load() }
