package channeltest

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

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
