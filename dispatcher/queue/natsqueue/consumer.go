package natsqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// A lane's use of its consumer at the servers is one state machine, and use is the only one that changes the state.
// Whatever the servers do, a lane that is to be served ends up serving: from each state every signal leads to
// serving, or to joining, which goes on until the servers have the consumer and were asked for its messages.
type state uint8

const (
	away      state = iota // no messages are asked for: the lane is paused, or Admit makes it wait
	joining                // the servers are asked for the consumer, and then for its messages
	serving                // messages are asked for
	lingering              // as serving, though none may start: a pause as short as that costs nothing
	stopped                // the lane is closed
)

// wish is what the lane is to do.
type wish uint8

const (
	toServe wish = iota
	toRest
	toStop
)

// signal is what happened since the state was entered.
type signal uint8

const (
	woken   signal = iota // the wish may have changed, or time has passed
	joined                // the servers have the consumer and were asked for messages
	failed                // they did not answer, or refused
	doubted               // messages may never come: nobody heard the request, no sign of life, an error nobody foresaw
	ended                 // the client has stopped asking: the consumer was deleted
	tired                 // the lane has lingered for long enough
)

// next is the state after a signal.
func next(s state, w wish, e signal) state {
	lost := e == doubted || e == ended
	switch {
	case w == toStop || s == stopped:
		return stopped
	case w == toRest && (s == serving || s == lingering) && !lost && e != tired:
		return lingering
	case w == toRest:
		return away
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
	// pulled is how many messages a worker asks for ahead. The lane's limit bounds what it gets; asking for more saves
	// asking again.
	pulled = 500
	// rejoinPause is how long to wait before asking again after a first doubt; mostRejoinPause after many.
	rejoinPause     = 100 * time.Millisecond
	mostRejoinPause = 2 * time.Second
	// steady is how long a lane must have served before a doubt counts as the first one again.
	steady = 10 * time.Second
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
	doubts   atomic.Pointer[doubt]
}

// doubt is an error about messages that were asked for.
type doubt struct {
	about jetstream.ConsumeContext
	err   error
}

// use runs the state machine. It ends with the lane.
func (l *lane) use() {
	defer close(l.ended)
	c := consumer{lane: l}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s, e := away, woken; ; {
		w, limit := l.wish()
		before := s
		if s = next(s, w, e); s != before {
			c.entered = time.Now()
		}
		var wait time.Duration // until the next look, if nothing happens; 0 = for ever
		switch s {
		case stopped:
			c.leave()
			return
		case away:
			c.leave()
		case joining:
			if before == serving || before == lingering {
				wait = c.lost(e)
				break
			}
			if wait, e = c.join(limit); e == joined {
				continue
			}
		case serving:
			wait = c.follow(limit)
		case lingering:
			wait = max(linger-time.Since(c.entered), time.Millisecond)
		}
		e = c.await(timer, wait, s)
	}
}

// wish says what the lane is to do, and its limit.
func (l *lane) wish() (wish, int) {
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
			return tired
		}
	case <-closed:
		c.messages = nil
		return ended
	}
	if d := c.doubts.Load(); d != nil && d.about == c.messages && c.messages != nil {
		return doubted
	}
	return woken
}

// lost ends what was asked for without an answer, and says how long to wait before asking again.
func (c *consumer) lost(e signal) time.Duration {
	c.failures++
	if c.messages != nil {
		c.messages.Drain() // ends by itself
		c.messages = nil
	}
	if d := c.doubts.Swap(nil); d != nil && e == doubted && c.failures > 2 {
		c.lane.complain("receive messages", d.err)
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
		err = c.ask()
	}
	if err == nil {
		return 0, joined
	}
	c.failures++
	c.lane.complain("ask for messages", err)
	return c.pause(), failed
}

// follow gives the consumer the lane's limit, if it is another.
func (c *consumer) follow(limit int) time.Duration {
	if c.limit == limit {
		return c.settleDown()
	}
	if left := updatePause - time.Since(c.updated); left > 0 {
		return left
	}
	if err := c.ensure(limit); err != nil {
		c.failures++
		c.lane.complain("set the limit", err)
		return c.pause()
	}
	return 0
}

// settleDown forgets what went wrong once the lane has been served for a while, and says how long that takes.
func (c *consumer) settleDown() time.Duration {
	if c.failures == 0 {
		return 0
	}
	if left := steady - time.Since(c.entered); left > 0 {
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
	case l.q.setUps <- struct{}{}:
		defer func() { <-l.q.setUps }()
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

// ask asks for messages.
func (c *consumer) ask() error {
	l := c.lane
	l.mu.Lock()
	l.leaving = false
	l.mu.Unlock()
	sign := min(max(l.q.config.Lease/6, time.Second/2), 30*time.Second)
	var err error
	c.messages, err = jsapi.Once(l.ctx, func(ctx context.Context) (jetstream.ConsumeContext, error) {
		messages, err := c.handle.Consume(l.receive, jetstream.PullMaxMessages(pulled), jetstream.PullExpiry(4*sign),
			jetstream.PullHeartbeat(sign), jetstream.ConsumeErrHandler(c.hear))
		if err == nil && ctx.Err() != nil { // nobody waits for it any more
			messages.Stop()
			return nil, ctx.Err()
		}
		return messages, err
	})
	return err
}

// hear is called with what goes wrong while messages are asked for. The client itself asks again when the
// consumer's leader changes. All else is a doubt: a consumer that is gone, or has just been made and is not known
// to every server yet, is heard of as no responders, or not at all.
func (c *consumer) hear(about jetstream.ConsumeContext, err error) {
	if errors.Is(err, jetstream.ErrConsumerLeadershipChanged) {
		return
	}
	c.doubts.Store(&doubt{about: about, err: err})
	c.lane.poke()
}

// leave asks for no more messages and gives back what the lane holds.
func (c *consumer) leave() {
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
