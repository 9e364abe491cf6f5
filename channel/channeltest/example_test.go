package channeltest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func ExampleRecorder() {
	var recorder channeltest.Recorder
	recorder.Script(channeltest.Fail(errors.New("down")), channeltest.Delay(time.Millisecond))

	ctx := context.Background()
	patient := channel.Chain(&recorder, channel.WithRetry(retry.AtMost(3, retry.Fixed{})))
	e, _ := event.Sample(event.TypeGrantRevoked)
	_, err := patient.Send(ctx, channel.Delivery{Event: e, Route: channel.RouteID{Name: "audit"}, Attempt: 1})

	fmt.Println("error:", err)
	for _, d := range recorder.Deliveries() {
		fmt.Println("attempt", d.Attempt, "of", d.Event.Type())
	}
	// Output:
	// error: <nil>
	// attempt 1 of grant.revoked
	// attempt 2 of grant.revoked
}

// A channel's own test calls Run like this.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		channeltest.Run(t, channeltest.Suite{
			New: func(_ *testing.T, answer channeltest.Answer) channel.Channel {
				return honest(answer) // connects to a fake destination that gives this response
			},
			Secrets: []string{"the-token-in-the-configuration"},
		})
	}
}
