package natsqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/ask"
)

const (
	// linger is how long a paused or resting lane holds what it has, before it leaves it to other workers. Limits that change all the
	// time then cost nothing.
	linger = 100 * time.Millisecond
	// updatePause is the least time between two changes of a consumer's limit.
	updatePause = 50 * time.Millisecond
	// pulled is how many messages a worker asks for ahead. The lane's limit bounds what it gets; asking for more saves
	// asking again.
	pulled = 500
	// lostPause is how long to wait before asking again after nobody heard.
	lostPause = 100 * time.Millisecond
	// leaveTime bounds how long the last messages on their way are waited for.
	leaveTime = time.Second
)

// tending is what tend has made of the lane at the server.
type tending struct {
	lane     *lane
	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
	limit    int       // the consumer's
	updated  time.Time // when it was set
	paused   time.Time // since when the lane is, or rests
	failures int
	lost     atomic.Bool // nobody heard what was asked for, or whoever did is leaving
}

// tend keeps the server's side of the lane as it should be: a consumer with the lane's limit, messages asked for unless the
// lane is paused or rests. It ends with the lane.
func (l *lane) tend() {
	defer close(l.ended)
	t := tending{lane: l}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.mu.Lock()
		stopped, limit, resting := l.stopped, l.limit, l.resting
		l.mu.Unlock()
		var next time.Duration // until the next look, if nothing happens; 0 = for ever
		switch {
		case stopped:
			t.leave()
			return
		case limit <= 0 || resting:
			next = t.pause()
		default:
			t.paused = time.Time{}
			next = t.serve(limit)
		}
		if next > 0 {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
		var gone <-chan struct{}
		if t.consume != nil {
			gone = t.consume.Closed()
		}
		select {
		case <-l.wake:
		case <-timer.C:
		case <-gone: // somebody deleted the consumer
			t.consume, t.limit = nil, 0
		}
	}
}

// pause leaves the messages to others once the lane has been paused for a while.
func (t *tending) pause() time.Duration {
	if t.consume == nil {
		return 0
	}
	if t.paused.IsZero() {
		t.paused = time.Now()
	}
	if left := linger - time.Since(t.paused); left > 0 {
		return left
	}
	t.leave()
	return 0
}

// serve makes the consumer, or gives it the limit, and asks for messages.
func (t *tending) serve(limit int) time.Duration {
	if t.limit != limit {
		if left := updatePause - time.Since(t.updated); left > 0 && t.limit > 0 {
			return left
		}
		if err := t.update(limit); err != nil {
			return t.failed(err)
		}
	}
	if t.lost.Swap(false) && t.consume != nil {
		t.consume.Drain() // ends by itself
		t.consume = nil
		return lostPause
	}
	if t.consume == nil {
		if err := t.begin(); err != nil {
			return t.failed(err)
		}
	}
	t.failures = 0
	return 0
}

func (t *tending) update(limit int) error {
	l := t.lane
	select {
	case l.q.setUps <- struct{}{}:
		defer func() { <-l.q.setUps }()
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.q.config.Timeout)
	defer cancel()
	c, err := ask.Until(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return l.q.js.CreateOrUpdateConsumer(ctx, l.q.names.jobs(), l.q.consumerConfig(l, limit))
	})
	if err != nil {
		return err
	}
	t.updated, t.limit = time.Now(), limit
	if t.consumer == nil {
		t.consumer = c
	}
	return nil
}

func (t *tending) begin() error {
	l := t.lane
	l.mu.Lock()
	l.leaving, l.fresh = false, true
	l.mu.Unlock()
	sign := min(max(l.q.config.Lease/6, time.Second/2), 30*time.Second)
	var err error
	t.consume, err = t.consumer.Consume(l.receive, jetstream.PullMaxMessages(pulled), jetstream.PullExpiry(4*sign),
		jetstream.PullHeartbeat(sign), jetstream.ConsumeErrHandler(t.complained))
	return err
}

// complained hears what the client does not mend by itself before it misses signs of life: a consumer that has just been
// made is not known to every server yet, and one moves when its server goes.
func (t *tending) complained(_ jetstream.ConsumeContext, err error) {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrServerShutdown) {
		t.lost.Store(true)
		t.lane.poke()
	}
}

// failed says when to try again. One line is logged when it begins, not one for each attempt.
func (t *tending) failed(err error) time.Duration {
	l := t.lane
	if t.failures == 0 && l.ctx.Err() == nil {
		l.q.config.Logger.Warn("tocsin: the lane is not served until the NATS servers answer", "route", l.name, "error", err)
	}
	t.failures++
	return min(ask.LeastWait<<min(t.failures, 6), 2*time.Second)
}

// leave asks for no more messages and gives back what the lane holds.
func (t *tending) leave() {
	l := t.lane
	l.mu.Lock()
	l.leaving = true
	held := l.held
	l.held = nil
	l.mu.Unlock()
	if t.consume != nil {
		t.consume.Drain() // what is on its way is given back as it arrives
		timer := time.NewTimer(leaveTime)
		defer timer.Stop()
		select {
		case <-t.consume.Closed():
		case <-timer.C: // no server answers
			t.consume.Stop()
		}
		t.consume = nil
	}
	for _, h := range held {
		l.q.giveBack(h, 0)
	}
}

// flush waits until the server has what was sent so far.
func (q *Queue) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	_ = q.nc.FlushWithContext(ctx) // what did not get there runs again
}
