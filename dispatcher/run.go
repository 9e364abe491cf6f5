package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"maps"
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
	e.started.Store(true)
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
	if e.accept.close() {
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

// patience is for how long a lane that may not start anything yet is waited for.
func (e *Engine) patience() time.Duration {
	if by := e.drainBy.Load(); by != nil {
		return time.Until(*by)
	}
	return pacePause
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
		e.drainBy.Store(&until)
	}
	if e.schedule.Drain(ctx, until) != nil {
		return
	}
	for before := int64(-1); before != e.fallbacks.Load(); { // what dies may go to a lane that was drained already
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
	e.sending = e.stopAll(ctx)
	if e.running != nil {
		e.cause = context.Cause(e.running)
	}
	close(e.finished)
}

// stopAll stops the lanes side by side, so that hanging sends cost one grace and not one each. It returns how many
// sends of which lane ignored the end of their context.
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

// countGrace is how long a shutdown may count what it left after its context is done.
const countGrace = 2 * time.Second

// leftover counts what a shutdown leaves. Its context may be done already: these are the last words about those
// deliveries.
func (e *Engine) leftover(ctx context.Context) error {
	left := map[string]Left{}
	for name, n := range e.sending {
		left[name] = Left{Route: name, Sending: n}
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
				left[name] = Left{Route: name, Queued: -1, Sending: e.sending[name]}
			case c.Waiting() > 0:
				left[name] = Left{Route: name, Queued: c.Waiting(), Sending: e.sending[name]}
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	err.Left = slices.SortedFunc(maps.Values(left), func(a, b Left) int { return cmp.Compare(a.Route, b.Route) })
	return err
}
