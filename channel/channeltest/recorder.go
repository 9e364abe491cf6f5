package channeltest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/internal/cond"
)

// Recorder is a channel.Channel that keeps what it is given and answers as scripted. The zero value is ready for use
// and takes everything. All methods are safe for concurrent use, also inside a testing/synctest bubble. It must not be
// copied after first use.
type Recorder struct {
	state      cond.Cond // guards the following
	script     []Step
	deliveries []channel.Delivery
	attempts   map[string]int
}

var _ channel.Channel = (*Recorder)(nil)

// Script appends steps. Each attempt uses up one, in the order in which the attempts arrive; without steps left,
// attempts succeed with the zero Receipt.
func (r *Recorder) Script(steps ...Step) {
	r.state.Lock()
	defer r.state.Unlock()
	r.script = append(r.script, steps...)
}

// Send records d at once and then plays the next step, which may take its time: others are recorded meanwhile.
func (r *Recorder) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	if step := r.record(d); step != nil {
		return step(ctx, d)
	}
	return channel.Receipt{}, nil
}

func (r *Recorder) record(d channel.Delivery) Step {
	id := d.ID()
	r.state.Lock()
	defer r.state.Unlock()
	r.deliveries = append(r.deliveries, d)
	if r.attempts == nil {
		r.attempts = make(map[string]int)
	}
	r.attempts[id]++
	r.state.Broadcast()
	if len(r.script) == 0 {
		return nil
	}
	step := r.script[0]
	r.script = r.script[1:]
	return step
}

// Deliveries returns a copy of what was recorded so far, in the order of arrival: every attempt, whatever its outcome.
func (r *Recorder) Deliveries() []channel.Delivery {
	r.state.Lock()
	defer r.state.Unlock()
	return slices.Clone(r.deliveries)
}

// Attempts returns how often the delivery of that id (channel.Delivery.ID) was recorded.
func (r *Recorder) Attempts(id string) int {
	r.state.Lock()
	defer r.state.Unlock()
	return r.attempts[id]
}

// Wait returns nil once n deliveries are recorded in all. A recorded attempt may still be under way. When ctx is done
// first, Wait returns an error that wraps ctx's and says how many there were.
func (r *Recorder) Wait(ctx context.Context, n int) error {
	have := 0
	err := r.state.Wait(ctx, func() bool {
		have = len(r.deliveries)
		return have >= n
	})
	if err != nil {
		return fmt.Errorf("recorded %d of %d deliveries: %w", have, n, err)
	}
	return nil
}

// Step is what a [Recorder] does with one attempt. Own functions are allowed; nil is a success.
type Step func(ctx context.Context, d channel.Delivery) (channel.Receipt, error)

// Succeed takes the event and returns the receipt r.
func Succeed(r channel.Receipt) Step {
	return func(context.Context, channel.Delivery) (channel.Receipt, error) { return r, nil }
}

// Fail returns err. Mark it with retry.Permanent, retry.Throttle, retry.Delay or retry.Postpone for a verdict other
// than transient.
func Fail(err error) Step {
	return func(context.Context, channel.Delivery) (channel.Receipt, error) { return channel.Receipt{}, err }
}

// Hang never answers: it returns ctx's error once ctx is done.
func Hang() Step {
	return func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
		<-ctx.Done()
		return channel.Receipt{}, ctx.Err()
	}
}

// Delay takes the event after d, or returns ctx's error when ctx is done before.
func Delay(d time.Duration) Step {
	return func(ctx context.Context, _ channel.Delivery) (channel.Receipt, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return channel.Receipt{}, nil
		case <-ctx.Done():
			return channel.Receipt{}, ctx.Err()
		}
	}
}

// Panic panics with v, which breaks Send's contract on purpose.
func Panic(v any) Step {
	return func(context.Context, channel.Delivery) (channel.Receipt, error) {
		panic(v) //nolint:forbidigo // a fake of a broken channel
	}
}
