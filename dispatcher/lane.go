package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// leastPostpone keeps a channel that postpones for no time, or hardly any, from being asked in a tight loop.
const leastPostpone = 100 * time.Millisecond

// lane makes a route's attempts. It lasts as long as the route's name; each attempt uses the route of that moment.
type lane struct {
	name    string
	engine  *Engine
	current atomic.Pointer[bound] // nil = the route was removed
	pace    pacer
	record  record

	mu    sync.Mutex // guards the fields below, and changes of current
	queue queue.Lane // nil before Run
	gone  bool       // the destination of the current route is
}

// install makes b the lane's route. It returns the former one, if any, which is retired.
func (l *lane) install(b *bound) *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = false
	former := l.current.Swap(b)
	if former != nil {
		former.retire()
	}
	if q, ok := l.engine.queue.(queue.Bounder); ok {
		q.Bound(l.name, queue.Bound{
			Jobs: b.Backlog.Jobs, DropOldest: b.Backlog.Overflow == DropOldest, Keep: isBreakGlass, Dropped: l.dropped,
		})
	}
	l.setLimit()
	return former
}

// remove takes the route away, if it is still there, and returns it retired; the lane holds what it has.
func (l *lane) remove() *bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	former := l.current.Swap(nil)
	if former == nil {
		return nil
	}
	former.retire()
	l.setLimit()
	return former
}

func isBreakGlass(e event.Event) bool { return e.Type() == event.TypeRequestBreakGlass }

// open starts serving the lane. Called with engine.admin held.
func (l *lane) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, err := l.engine.queue.Open(l.name, queue.LaneOptions{Limit: l.limit(), Admit: l.admit}, l.handle)
	if err != nil {
		return fmt.Errorf("open lane %q: %w", l.name, err)
	}
	l.queue = q
	return nil
}

// stop waits for the sends of an opened lane as queue.Lane.Stop does.
func (l *lane) stop(ctx context.Context) error {
	l.mu.Lock()
	q := l.queue
	l.queue = nil
	l.mu.Unlock()
	if q == nil {
		return nil
	}
	return q.Stop(ctx)
}

// drain waits as queue.Lane.Drain does.
func (l *lane) drain(ctx context.Context) error {
	l.mu.Lock()
	q := l.queue
	l.mu.Unlock()
	if q == nil {
		return nil
	}
	return q.Drain(ctx)
}

func (l *lane) setLimit() {
	if l.queue != nil {
		l.queue.Limit(l.limit())
	}
}

func (l *lane) limit() int {
	b := l.current.Load()
	if b == nil || b.State != Enabled || l.gone {
		return 0
	}
	if b.Order == Strict {
		return 1 // also for a queue that orders whole lanes only
	}
	return b.Concurrency
}

func (l *lane) admit() time.Duration {
	if b := l.current.Load(); b != nil {
		return l.pace.admit(b.Rate)
	}
	return 0
}

// handle runs one job: the queue's handler.
func (l *lane) handle(ctx context.Context, j queue.Job) queue.Outcome {
	b := acquire(&l.current)
	if b == nil { // removed since the job was taken
		return queue.Outcome{Action: queue.Postpone}
	}
	defer b.release()
	if b.State != Enabled { // since the job was taken
		return queue.Outcome{Action: queue.Postpone}
	}
	d := channel.Delivery{Event: j.Event, Route: l.name, Attempt: j.Attempt + 1, Generation: j.Generation}
	began := time.Now()
	if reason := b.refuses(j, began); reason != "" {
		d.Attempt = j.Attempt
		l.bury(d, reason, nil)
		return queue.Outcome{Action: queue.Dead, Reason: reason}
	}
	receipt, verdict, err := b.attempt(ctx, d)
	if err == nil {
		l.delivered(ctx, d, receipt, began)
		return queue.Outcome{Action: queue.Done, Began: began}
	}
	return l.failed(ctx, b, j, d, receipt, verdict, err, began)
}

func (l *lane) delivered(ctx context.Context, d channel.Delivery, receipt channel.Receipt, began time.Time) {
	l.record.success(began, receipt.Skipped)
	o := &l.engine.observers
	if len(o.attempted) > 0 {
		a := Attempt{
			Context: ctx, Delivery: d, Receipt: receipt, Verdict: retry.Success, Began: began, Duration: time.Since(began),
		}
		for _, f := range o.attempted {
			f(a)
		}
	}
	if len(o.settled) > 0 {
		s := Settlement{Delivery: d, Result: Delivered}
		if receipt.Skipped {
			s.Result = Skipped
		}
		l.settled(s)
	}
}

func (l *lane) settled(s Settlement) {
	for _, f := range l.engine.observers.settled {
		f(s)
	}
}

// failed decides what becomes of a delivery whose attempt failed.
func (l *lane) failed(ctx context.Context, b *bound, j queue.Job, d channel.Delivery, receipt channel.Receipt,
	result retry.Result, err error, began time.Time,
) queue.Outcome {
	now := time.Now()
	out := queue.Outcome{Action: queue.Dead, Began: began}
	gone := errors.Is(err, channel.ErrGone) && result.Verdict != retry.Postponed
	switch {
	case gone:
		// The delivery waits with the others of its lane until somebody mends the configuration.
		out.Action = queue.Postpone
	case result.Verdict == retry.Postponed:
		out.Action, out.Delay = queue.Postpone, result.Delay
		if ctx.Err() == nil {
			out.Delay = max(out.Delay, leastPostpone)
		}
	case result.Verdict == retry.Final:
		out.Reason = fmt.Sprintf("permanent failure: %v", err)
	default:
		first := j.FirstTried
		if first.IsZero() {
			first = began
		}
		delay, again := b.next(retry.Failure{Attempt: d.Attempt, Elapsed: now.Sub(first), Err: err})
		delay = max(delay, result.Delay)
		switch {
		case !again:
			out.Reason = fmt.Sprintf("gave up after attempt %d: %v", d.Attempt, err)
		case b.tooOld(j, now.Add(delay)):
			out.Reason = fmt.Sprintf("would be older than the route's MaxAge of %v at attempt %d: %v", b.MaxAge, d.Attempt+1, err)
		default:
			out.Action, out.Delay = queue.Retry, delay
		}
	}
	if result.Verdict != retry.Postponed {
		l.record.failure(began, err)
	}
	l.engine.log.Debug("tocsin: attempt failed", "route", l.name, "event_id", d.Event.ID(), "attempt", d.Attempt,
		"verdict", result.Verdict.String(), "next", out.Delay, "error", err)
	for _, f := range l.engine.observers.attempted {
		f(Attempt{Context: ctx, Delivery: d, Receipt: receipt, Err: err, Verdict: result.Verdict, Began: began,
			Duration: now.Sub(began), Next: out.Delay})
	}
	if gone {
		l.disable(b, err)
	}
	if out.Action == queue.Dead {
		l.bury(d, out.Reason, err)
	}
	return out
}

// disable pauses the lane of a destination that is gone, unless its route was replaced meanwhile.
func (l *lane) disable(b *bound, reason error) {
	l.mu.Lock()
	already := l.gone || l.current.Load() != b
	if !already {
		l.gone = true
		l.setLimit()
	}
	l.mu.Unlock()
	if already {
		return
	}
	l.engine.log.Error("tocsin: destination is gone; its route is paused until SetRoutes", "route", l.name, "error", reason)
	for _, f := range l.engine.observers.disabled {
		f(l.name, reason)
	}
}

// bury reports a delivery as dead.
func (l *lane) bury(d channel.Delivery, reason string, err error) {
	l.record.died.Add(1)
	l.engine.log.Error("tocsin: delivery is dead", "route", l.name, "event_id", d.Event.ID(),
		"event_type", string(d.Event.Type()), "attempts", d.Attempt, "reason", reason)
	l.settled(Settlement{Delivery: d, Result: DeadLetter, Reason: reason, Err: err})
}

// dropped is told by a full backlog of a delivery it gave up.
func (l *lane) dropped(j queue.Job) {
	d := channel.Delivery{Event: j.Event, Route: l.name, Attempt: j.Attempt, Generation: j.Generation}
	l.bury(d, "dropped: the backlog was full", nil)
}
