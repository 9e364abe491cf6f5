package natsqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// A lane's use of its consumer at the servers is one state machine, and serve is the only one that changes the state.
// Whatever the servers do, a lane that is to be served ends up serving: from each state every signal leads to
// serving, or to joining, which goes on until the servers have the consumer and were asked for its messages.
type state uint8

const (
	idle      state = iota // no messages are asked for: the lane is paused, or Admit makes it wait
	joining                // the servers are asked for the consumer, and then for its messages
	serving                // messages are asked for
	lingering              // as serving, though none may start: a pause as short as that costs nothing
	stopped                // the lane is closed
)

// goal is what the lane is to do.
type goal uint8

const (
	toServe goal = iota
	toRest
	toStop
)

// signal is what happened since the state was entered.
type signal uint8

const (
	woken   signal = iota // the goal may have changed, or time has passed
	joined                // the servers have the consumer and were asked for messages
	failed                // they did not answer, or refused
	stalled               // messages may never come: no responders, no heartbeat, an unknown error
	ended                 // the client has stopped asking: the consumer was deleted
	expired               // the lane has lingered for long enough
)

// next is the state after a signal.
func next(s state, w goal, e signal) state {
	lost := e == stalled || e == ended
	switch {
	case w == toStop || s == stopped:
		return stopped
	case w == toRest && (s == serving || s == lingering) && !lost && e != expired:
		return lingering
	case w == toRest:
		return idle
	case s == joining && e == joined, (s == serving || s == lingering) && !lost:
		return serving
	}
	return joining
}

const (
	// linger is how long a paused or resting lane keeps what it has, before it leaves it to other workers.
	linger = 100 * time.Millisecond
	// updatePause is the least time between two changes of a consumer's limit.
	updatePause = 50 * time.Millisecond
	// prefetch is how many messages a worker asks for ahead. The lane's limit bounds what it gets; asking for more
	// saves asking again.
	prefetch = 500
	// rejoinPause is how long to wait before asking again after a first stall; mostRejoinPause after many.
	rejoinPause     = 100 * time.Millisecond
	mostRejoinPause = 2 * time.Second
	// stableTime is how long a lane must have served before a stall counts as the first one again.
	stableTime = 10 * time.Second
	// leaveTime bounds how long the last messages on their way are waited for.
	leaveTime = time.Second
)

// consumer is this process's use of the lane's consumer.
type consumer struct {
	lane     *lane
	handle   jetstream.Consumer
	messages jetstream.ConsumeContext // nil = none are asked for
	limit    int                      // that this process has set last; 0 = none
	updated  time.Time                // when
	entered  time.Time                // when the state was
	failures int                      // in a row
	stalls   atomic.Pointer[stall]
}

// stall is an error about messages that were asked for.
type stall struct {
	about jetstream.ConsumeContext
	err   error
}

// serve runs the state machine. It ends with the lane.
func (l *lane) serve() {
	defer close(l.ended)
	c := consumer{lane: l}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s, e := idle, woken; ; {
		w, limit := l.goal()
		before := s
		if s = next(s, w, e); s != before {
			c.entered = time.Now()
		}
		var wait time.Duration // until the next poll, if nothing happens; 0 = forever
		switch s {
		case stopped:
			c.giveBack()
			return
		case idle:
			c.giveBack()
		case joining:
			if before == serving || before == lingering {
				wait = c.abandon(e)
				break
			}
			if wait, e = c.join(limit); e == joined {
				continue
			}
		case serving:
			wait = c.updateLimit(limit)
		case lingering:
			wait = max(linger-time.Since(c.entered), time.Millisecond)
		}
		e = c.await(timer, wait, s)
	}
}

// goal says what the lane is to do, and its limit.
func (l *lane) goal() (goal, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped:
		return toStop, l.limit
	case l.limit <= 0 || l.resting:
		return toRest, l.limit
	}
	return toServe, l.limit
}

// await waits for a signal.
func (c *consumer) await(timer *time.Timer, wait time.Duration, s state) signal {
	if timer.Stop(); wait > 0 {
		timer.Reset(wait)
	}
	var closed <-chan struct{}
	if c.messages != nil {
		closed = c.messages.Closed()
	}
	select {
	case <-c.lane.wake:
	case <-timer.C:
		if s == lingering {
			return expired
		}
	case <-closed:
		c.messages = nil
		return ended
	}
	if d := c.stalls.Load(); d != nil && d.about == c.messages && c.messages != nil {
		return stalled
	}
	return woken
}

// abandon ends what was asked for without an answer, and says how long to wait before asking again.
func (c *consumer) abandon(e signal) time.Duration {
	c.failures++
	if c.messages != nil {
		c.messages.Drain() // ends by itself
		c.messages = nil
	}
	if d := c.stalls.Swap(nil); d != nil && e == stalled && c.failures > 2 {
		c.lane.warn("receive messages", d.err)
	}
	return c.pause()
}

func (c *consumer) pause() time.Duration {
	return min(rejoinPause<<min(c.failures-1, 5), mostRejoinPause)
}

// join makes sure of the consumer and asks for messages.
func (c *consumer) join(limit int) (time.Duration, signal) {
	err := c.ensure(limit)
	if err == nil {
		err = c.pull()
	}
	if err == nil {
		return 0, joined
	}
	c.failures++
	c.lane.warn("ask for messages", err)
	return c.pause(), failed
}

// updateLimit gives the consumer the lane's limit, if it is another.
func (c *consumer) updateLimit(limit int) time.Duration {
	if c.limit == limit {
		return c.resetFailures()
	}
	if left := updatePause - time.Since(c.updated); left > 0 {
		return left
	}
	if err := c.ensure(limit); err != nil {
		c.failures++
		c.lane.warn("set the limit", err)
		return c.pause()
	}
	return 0
}

// resetFailures forgets what went wrong once the lane has been served for a while, and says how long that takes.
func (c *consumer) resetFailures() time.Duration {
	if c.failures == 0 {
		return 0
	}
	if left := stableTime - time.Since(c.entered); left > 0 {
		return left
	}
	c.failures = 0
	c.lane.recovered()
	return 0
}

// ensure makes the consumer, or gives it the limit. One that is there and has been given the limit before is left
// as it is: a limit that another process has set since counts.
func (c *consumer) ensure(limit int) error {
	l := c.lane
	select {
	case l.q.settingUp <- struct{}{}:
		defer func() { <-l.q.settingUp }()
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.q.config.Timeout)
	defer cancel()
	if c.limit == limit {
		there, err := jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
			return l.q.js.Consumer(ctx, l.q.names.jobs(), l.consumer)
		})
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			c.handle = there
			return err
		}
	}
	made, err := jsapi.Retry(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return l.q.js.CreateOrUpdateConsumer(ctx, l.q.names.jobs(), l.q.consumerConfig(l, limit))
	})
	if err == nil {
		c.handle, c.limit, c.updated = made, limit, time.Now()
	}
	return err
}

// pull asks for messages.
func (c *consumer) pull() error {
	l := c.lane
	l.mu.Lock()
	l.leaving = false
	l.mu.Unlock()
	heartbeat := min(max(l.q.config.Lease/6, time.Second/2), 30*time.Second)
	var err error
	c.messages, err = jsapi.Once(l.ctx, func(ctx context.Context) (jetstream.ConsumeContext, error) {
		messages, err := c.handle.Consume(l.receive, jetstream.PullMaxMessages(prefetch), jetstream.PullExpiry(4*heartbeat),
			jetstream.PullHeartbeat(heartbeat), jetstream.ConsumeErrHandler(c.onError))
		if err == nil && ctx.Err() != nil { // nobody waits for it any more
			messages.Stop()
			return nil, ctx.Err()
		}
		return messages, err
	})
	return err
}

// onError is called with what goes wrong while messages are asked for. The client itself asks again when the
// consumer's leader changes. All else is a stall: a consumer that is gone, or has just been made and is not known
// to every server yet, shows as no responders, or not at all.
func (c *consumer) onError(about jetstream.ConsumeContext, err error) {
	if errors.Is(err, jetstream.ErrConsumerLeadershipChanged) {
		return
	}
	c.stalls.Store(&stall{about: about, err: err})
	c.lane.wakeUp()
}

// giveBack asks for no more messages and gives back what the lane holds.
func (c *consumer) giveBack() {
	l := c.lane
	l.mu.Lock()
	l.leaving = true
	held := l.held
	l.held = nil
	l.mu.Unlock()
	if c.messages != nil {
		c.messages.Drain() // what is on its way is given back as it arrives
		timer := time.NewTimer(leaveTime)
		defer timer.Stop()
		select {
		case <-c.messages.Closed():
		case <-timer.C: // no server answers
			c.messages.Stop()
		}
		c.messages = nil
	}
	for _, d := range held {
		l.q.release(d, 0)
	}
}
