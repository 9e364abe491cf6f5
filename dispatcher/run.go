package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

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
		if e.accept.close() {
			e.stop(ctx)
		} else {
			<-e.finished // Shutdown is at it, and sees that ctx is done
		}
	}
	return e.cause
}

func (e *Engine) start(ctx context.Context) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.unlock()
	if e.accept.isClosed() {
		return ErrShutdown
	}
	if e.running != nil {
		return ErrRunning
	}
	if err := e.openAll(); err != nil {
		e.stopAll(ctx)
		return err
	}
	e.running = ctx
	return nil
}

func (e *Engine) openAll() error {
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

// Shutdown stops accepting events, delivers what is due, and lets Run return. When ctx is done first, it cancels the
// sends that still run and waits for them up to queue.StopGrace. It lets calls of Dispatch that are under way finish,
// whatever ctx says. A nil error says that nothing is left, as far as the queue can tell (queue.Inspector); otherwise
// *ShutdownError says what is: retries and scheduled events whose time has not come, deliveries of paused routes and
// those whose breaker is open, and those ctx, or the end of Run's context, left no time for. With a durable queue they are delivered after the next
// start. A Shutdown after the first one, or after Run's context ended, waits for that and reports the same.
//
// One that comes before Run has begun delivers nothing and reports all that was dispatched as left. A program that ends at
// once, with Run in a goroutine that was only just started, therefore waits for its deliveries first: Observer.Settled.
func (e *Engine) Shutdown(ctx context.Context) error {
	if e.accept.close() {
		e.drain(ctx)
		e.stop(ctx)
	}
	if err := wait(ctx, e.finished); err != nil {
		return err
	}
	return e.leftover()
}

// wait returns nil once done is closed, or ctx's error. When both are so, done counts.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lock takes the right to change lanes. A right that is free is given although ctx is done, so that what happens then
// is no matter of luck.
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

// drain waits for what is due: first the schedule, which feeds the lanes.
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
	if e.schedule.Drain(ctx, time.Time{}) != nil {
		return
	}
	for before := int64(-1); before != e.fallbacks.Load(); { // what dies may go to a lane that was drained already
		before = e.fallbacks.Load()
		for _, l := range e.lanes {
			if l.drain(ctx) != nil {
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
	e.sending = e.stopAll(ctx)
	if e.running != nil {
		e.cause = context.Cause(e.running)
	}
	close(e.finished)
}

// stopAll stops the lanes side by side, so that hanging sends cost one grace and not one each. It returns how many sends
// of which lane ignored the end of their context.
func (e *Engine) stopAll(ctx context.Context) map[string]int {
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

// leftover counts what a shutdown leaves.
func (e *Engine) leftover() error {
	left := map[string]Left{}
	for name, n := range e.sending {
		left[name] = Left{Route: name, Sending: n}
	}
	// Counting must not fail for want of time: it is the last word about these deliveries.
	ctx := context.Background()
	if inspector, ok := e.queue.(queue.Inspector); ok {
		names, err := inspector.Lanes(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			c, err := inspector.Count(ctx, name)
			if err != nil {
				return err
			}
			if c.Waiting() > 0 {
				left[name] = Left{Route: name, Queued: c.Waiting(), Sending: e.sending[name]}
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	err := &ShutdownError{Durable: e.queue.Properties().Durable}
	for _, l := range left {
		err.Left = append(err.Left, l)
	}
	slices.SortFunc(err.Left, func(a, b Left) int { return cmp.Compare(a.Route, b.Route) })
	return err
}
