package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/retry"
)

// Attempt is one call of a channel.
type Attempt struct {
	// Context is the one the queue ran the job with, for the values it carries, such as a trace's span: it is what
	// joins an observer to a wrapper around the queue. It may be done already, and is not to be kept.
	Context  context.Context  `json:"-"`
	Delivery channel.Delivery `json:"delivery"`
	Receipt  channel.Receipt  `json:"receipt"`
	Outcome  Outcome          `json:"outcome"`
	Err      error            `json:"-"` // nil = delivered, or skipped as a duplicate; in JSON its text, as error
	Verdict  retry.Verdict    `json:"-"` // on Err; in JSON its text, as verdict
	Began    time.Time        `json:"began"`
	Duration time.Duration    `json:"duration"`       // in JSON in nanoseconds, as Next
	Next     time.Duration    `json:"next,omitempty"` // until the next attempt; 0 = at once, or there is none
}

// MarshalJSON implements json.Marshaler.
func (a Attempt) MarshalJSON() ([]byte, error) {
	type plain Attempt
	return json.Marshal(struct {
		plain

		Verdict string `json:"verdict"`
		Error   string `json:"error,omitempty"`
	}{plain(a), a.Verdict.String(), errorText(a.Err)})
}

// minPostpone keeps a channel that postpones for no time, or hardly any, from being asked in a tight loop.
const minPostpone = 100 * time.Millisecond

// handle is the queue's handler: it makes an attempt of one job.
func (l *lane) handle(ctx context.Context, j queue.Job) queue.Disposition {
	if l.engine.calls.isClosed() {
		defer l.reconsider() // the next one may have to wait for longer than the shutdown does
	}
	began := l.engine.clock.now()
	a := Attempt{Context: ctx, Began: began, Delivery: channel.Delivery{
		Event: j.Event, Route: l.id, Attempt: j.Attempt + 1, Generation: j.Generation,
	}}
	r := l.acquire()
	if r == nil { // removed since the job was taken
		return queue.Disposition{Action: queue.Postpone}
	}
	defer r.release()
	if r.State != Enabled { // since the job was taken
		l.inconclusive(r, began)
		return queue.Disposition{Action: queue.Postpone}
	}
	if d := l.takeAwaiting(r, &j); d != nil {
		l.inconclusive(r, began)
		return l.markDead(r, d)
	}
	if reason := r.refuses(&j, began); reason != "" {
		a.Delivery.Attempt = j.Attempt
		l.inconclusive(r, began)
		return l.markDead(r, &deadDelivery{delivery: a.Delivery, reason: reason})
	}
	r.send(&a)
	if a.Err != nil {
		return l.failed(r, &j, &a)
	}
	l.delivered(r, &a)
	return queue.Disposition{Action: queue.Done, Began: began}
}

// send makes the attempt and notes what came of it in a.
func (r *activeRoute) send(a *Attempt) {
	ctx, cancel := r.withTimeout(a.Context)
	defer func() {
		if v := recover(); v != nil {
			a.Receipt, a.Err = channel.Receipt{}, channel.NewPanicError(v)
		}
		a.Duration = time.Since(a.Began)
		cancel()
	}()
	a.Receipt, a.Err = r.sender.Send(ctx, a.Delivery)
}

// inconclusive tells the breaker that the attempt which began then says nothing about the destination.
func (l *lane) inconclusive(r *activeRoute, began time.Time) {
	if r.destination.breaker.inconclusive(began) {
		l.reconsider()
	}
}

func (l *lane) delivered(r *activeRoute, a *Attempt) {
	a.Outcome = Delivered
	if a.Receipt.Skipped {
		a.Outcome = Skipped
	}
	settled := Settlement{Delivery: a.Delivery, Outcome: a.Outcome}
	r.destination.record.succeeded(a)
	if a.Outcome == Skipped {
		l.inconclusive(r, a.Began)
	} else if closed, freed := r.destination.breaker.succeeded(a.Began); freed {
		if closed {
			l.engine.log.Info("tocsin: breaker closed", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant)
		}
		l.reconsider()
	}
	l.engine.observers.notifyAttempted(a)
	l.engine.observers.notifySettled(&settled)
}

// failed decides what becomes of a delivery whose attempt failed.
func (l *lane) failed(r *activeRoute, j *queue.Job, a *Attempt) queue.Disposition {
	precision := l.engine.precision
	result := retry.Classify(a.Context, a.Err)
	a.Outcome, a.Verdict = Failed, result.Verdict
	if result.Throttled {
		result.Delay = min(result.Delay, maxThrottle)
	}
	out := queue.Disposition{Action: queue.Postpone, Began: a.Began}
	gone := errors.Is(a.Err, channel.ErrGone) && result.Verdict != retry.VerdictPostponed
	switch {
	case gone: // the delivery waits with the others of its lane until somebody corrects the configuration
	case result.Verdict == retry.VerdictPostponed:
		a.Outcome = Postponed
		now := a.Began.Add(a.Duration)
		out.Delay = result.Pause(0, sooner(r.remaining(j, j.FirstTried, now)), precision)
		if a.Context.Err() == nil {
			out.Delay = max(out.Delay, minPostpone)
			l.notePaced(now, out.Delay)
		}
	case result.Verdict == retry.VerdictPermanent:
		out.Action, out.Reason = queue.Dead, fmt.Sprintf("permanent failure: %v", a.Err)
	default:
		out = r.again(j, a, result, precision)
	}
	a.Next = out.Delay
	var failing time.Time
	if a.Outcome == Failed {
		failing = r.destination.record.failure(a)
	}
	l.engine.log.Debug("tocsin: attempt failed", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrEventID, a.Delivery.Event.ID(),
		AttrAttempt, a.Delivery.Attempt, AttrVerdict, a.Verdict.String(), AttrNext, a.Next, AttrError, a.Err)
	l.engine.observers.notifyAttempted(a)
	switch {
	case gone:
		l.disable(r, true, a.Err)
	case result.Verdict == retry.VerdictTransient:
		l.breakerFailed(r, a, r.throttle(result, out, precision))
	default:
		l.inconclusive(r, a.Began)
	}
	if !gone {
		l.disableAfter(r, failing, a.Err)
	}
	if out.Action == queue.Dead {
		return l.markDead(r, &deadDelivery{delivery: a.Delivery, reason: out.Reason, err: a.Err, began: a.Began})
	}
	return out
}

// breakerFailed reports a transient failure, after which the receiver asks for no more requests for that long.
func (l *lane) breakerFailed(r *activeRoute, a *Attempt, throttle time.Duration) {
	key := deliveryKey{a.Delivery.Event.ID(), a.Delivery.Generation}
	pause, changed := r.destination.breaker.failed(r.Protect.Breaker, key, a.Began, throttle)
	if pause > 0 {
		l.engine.log.Warn("tocsin: breaker is open", AttrRoute, l.id.Name, AttrTenant, l.id.Tenant, AttrPause, pause, AttrError, a.Err)
	}
	if changed {
		l.reconsider()
	}
}
