package channeltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

const (
	patience = 10 * time.Second      // for an attempt that is not cancelled
	soon     = 2 * time.Second       // for Send to return after its context is done
	hangTime = 50 * time.Millisecond // how long a silent destination is waited for
)

// result is what one attempt came to.
type result struct {
	receipt channel.Receipt
	err     error
}

// attempt calls Send and guards the suite from what a broken channel does: a panic and a Send that outlives its context
// fail the test instead of ending or hanging the process.
func attempt(ctx context.Context, t *testing.T, c channel.Channel, d channel.Delivery) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		var r result
		r.receipt, r.err = channel.Recover(c).Send(ctx, d)
		done <- r
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		late := time.NewTimer(soon)
		defer late.Stop()
		select {
		case r = <-done:
		case <-late.C:
			t.Errorf("Send has not returned %v after its context was done", soon)
			return result{err: ctx.Err()}
		}
	}
	if p, ok := errors.AsType[*channel.PanicError](r.err); ok {
		t.Errorf("Send: %v", p)
	}
	return r
}

// succeed makes an attempt that has to succeed.
func succeed(t *testing.T, c channel.Channel, d channel.Delivery) channel.Receipt {
	t.Helper()
	r := attempt(t.Context(), t, c, d)
	if r.err != nil {
		t.Errorf("the destination takes the event and Send of %v returned: %v", d.Event, r.err)
	}
	return r.receipt
}

// sample is a realistic delivery.
func sample() channel.Delivery { return sampleOf(event.TypeRequestPending) }

func sampleOf(typ event.Type) channel.Delivery {
	e, _ := event.Sample(typ)
	return channel.Delivery{Event: e, Route: "channeltest", Attempt: 1}
}

// request is a delivery of a new event with the given justification.
func request(t *testing.T, justification string, m event.Meta) channel.Delivery {
	t.Helper()
	p, err := event.Decode[event.RequestPending](sample().Event)
	if err != nil {
		t.Fatalf("the sample cannot be decoded: %v", err)
	}
	p.Justification = justification
	e, err := event.New(p, m)
	if err != nil {
		t.Fatalf("the event cannot be made: %v", err)
	}
	return channel.Delivery{Event: e, Route: "channeltest", Attempt: 1}
}
