package dispatcher

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever the numbers: as many attempts start at once as the burst says, then the next one is an interval away.
func TestTokenBucketWithAnyNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(300) {
			random := rand.New(rand.NewPCG(seed, 5))
			size := func(bits int) int64 { return 1 + random.Int64N(1<<random.IntN(bits)) }
			r := Rate{Events: int(size(30)), Per: time.Duration(size(63)), Burst: int(size(10))}
			if random.IntN(3) == 0 {
				r.Per = math.MaxInt64
			}
			interval := r.interval()
			if interval <= 0 {
				continue
			}
			var p tokenBucket
			for i := range r.Burst {
				require.Zero(t, p.take(r), "seed %d: attempt %d of %+v", seed, i, r)
			}
			require.Equal(t, interval, p.wait(r), "seed %d: %+v", seed, r)
			require.Equal(t, interval, p.take(r))
		}
	})
}

func TestTokenBucketWithTheLargestBurst(t *testing.T) {
	t.Parallel()
	r := Rate{Events: 1, Per: math.MaxInt64, Burst: math.MaxInt}
	var p tokenBucket
	for range 1000 {
		require.Zero(t, p.take(r))
	}
	assert.Zero(t, p.wait(r))
}

func TestSumDoesNotOverflow(t *testing.T) {
	t.Parallel()
	assert.Equal(t, time.Duration(math.MaxInt64), sum(math.MaxInt64, time.Hour))
	assert.Equal(t, time.Duration(math.MaxInt64), sum(time.Hour, math.MaxInt64))
	assert.Equal(t, 2*time.Hour, sum(time.Hour, time.Hour))
}
