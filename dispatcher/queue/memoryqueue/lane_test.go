package memoryqueue

import (
	"context"
	"fmt"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLaneAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			script := make([]byte, 1200)
			for i := range script {
				script[i] = byte(rng.Uint32())
			}
			runModel(t, append([]byte{8, 9, 3}, script...))
		})
	}
}

func FuzzLane(f *testing.F) {
	f.Add([]byte{8, 9, 3, 0, 2, 0, 0, 2, 0, 4, 0, 1, 2, 10, 3, 15, 0})
	f.Fuzz(func(t *testing.T, script []byte) { runModel(t, script) })
}

// TestStopRace: a handler that returns at the very end of Stop's patience never makes it say that none still runs.
func TestStopRace(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{-1, 0, 1} {
		synctest.Test(t, func(t *testing.T) {
			m := New(Options{})
			l, err := m.Open("a", queue.LaneOptions{Limit: 1}, func(ctx context.Context, _ queue.Job) queue.Disposition {
				<-ctx.Done()
				<-time.After(queue.StopGrace + late)
				return queue.Disposition{}
			})
			require.NoError(t, err)
			require.NoError(t, m.Enqueue(t.Context(), queue.Job{Event: revoked("e", ""), Lane: "a"}))
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			switch err := l.Stop(ctx); {
			case late < 0:
				require.NoError(t, err)
			case late > 0 || err != nil:
				var stuck *queue.StillRunningError
				require.ErrorAs(t, err, &stuck)
				assert.Equal(t, queue.StillRunningError{Lane: "a", Handlers: 1}, *stuck)
			}
			<-time.After(time.Second)
		})
	}
}
