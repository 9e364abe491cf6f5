package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The conformance suite drives the pager against a real gateway for every class of answer.
func TestPagerConforms(t *testing.T) {
	answers := map[channeltest.Answer]string{
		channeltest.Accepted:    "OK page-1",
		channeltest.Unavailable: "the gateway is confused",
		channeltest.Throttled:   "BUSY 90",
		channeltest.Rejected:    "NO such team",
		channeltest.Gone:        "GONE",
		channeltest.Silent:      "",
	}
	channeltest.Run(t, channeltest.Suite{
		New: func(t *testing.T, answer channeltest.Answer) channel.Channel {
			g, err := newGateway(answers[answer])
			require.NoError(t, err)
			t.Cleanup(g.Close)
			return Pager{Addr: g.Addr().String()}
		},
	})
}

func TestStory(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, run(ctx))
}
