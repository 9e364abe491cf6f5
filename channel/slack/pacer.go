package slack

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// ErrPaced is the error of a delivery that was not tried, because the last message was sent less than the interval ago
// or Slack asked for a pause. It is marked with retry.Postpone and the time after which to come back.
var ErrPaced = errors.New("slack: too soon after the last message")

// defaultInterval is Slack's limit: one message a second and channel, with short bursts above it tolerated
// (https://docs.slack.dev/apis/web-api/rate-limits).
const defaultInterval = time.Second

// longestWait bounds what a delivery is put off for others that are waiting: some of them may never come.
const longestWait = time.Minute

// pacer is a rate limiter that never waits: it returns after which time a delivery that is too early may be tried.
type pacer struct {
	interval   time.Duration // negative = none, but for the pauses that Slack asks for
	mu         sync.Mutex
	free       time.Time // from when on the next message may go
	nextReturn time.Time // when one more that is turned away should come back, so that they do not all come back at once
}

// admit returns 0 and takes the turn, or how long to stay away. One that is urgent waits for the last message only, and
// not for those that were turned away before it.
func (p *pacer) admit(now time.Time, urgent bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.free) {
		if p.interval > 0 {
			p.free = now.Add(p.interval)
		}
		return 0
	}
	at := p.free
	if urgent {
		return at.Sub(now)
	}
	if p.nextReturn.After(at) {
		at = p.nextReturn
	}
	if latest := p.free.Add(longestWait); at.After(latest) {
		at = latest
	}
	p.nextReturn = at.Add(p.interval)
	return at.Sub(now)
}

// isUrgent reports whether the news about e should not wait behind others.
func isUrgent(e event.Event) bool { return e.Type() == event.TypeRequestBreakGlass }

// pauseAfter keeps all messages back for as long as Slack asked when it turned one away.
func (p *pacer) pauseAfter(ctx context.Context, err error, now time.Time) {
	e, ok := errors.AsType[*webhook.Error](err)
	if !ok || e.Status != tooManyRequests && !isRateLimited(e.Reason) {
		return
	}
	until := now.Add(retry.Classify(ctx, err).Delay)
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.free) {
		p.free = until
	}
}
