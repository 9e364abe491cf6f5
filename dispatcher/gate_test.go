package dispatcher

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

func newGate() *gate { return &gate{empty: make(chan struct{})} }

func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		assert.True(t, g.enter())
		assert.True(t, g.enter())
		first := make(chan bool, 1)
		go func() { first <- g.close() }()
		synctest.Wait()
		assert.True(t, g.isClosed())
		assert.False(t, g.enter(), "closed at once, also from inside")
		assert.False(t, g.close(), "a second close does not wait")
		g.leave()
		synctest.Wait()
		assert.Empty(t, first, "the first one waits for the last call")
		g.leave()
		assert.True(t, <-first)
		assert.False(t, g.enter())
		assert.False(t, g.close())
	})
}

func TestGateThatIsEmptyClosesAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate()
	assert.True(t, g.enter())
	g.leave()
	assert.False(t, g.isClosed())
	assert.True(t, g.close())
	for range 3 {
		assert.False(t, g.enter())
	}
}

// After close has returned nobody is inside, whatever the moment.
func TestGateUnderLoad(t *testing.T) {
	t.Parallel()
	for range 200 {
		g := newGate()
		var inside atomic.Int32
		var firsts atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for g.enter() {
					inside.Add(1)
					inside.Add(-1)
					g.leave()
				}
			})
			wg.Go(func() {
				if g.close() {
					firsts.Add(1)
					assert.Zero(t, inside.Load())
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, firsts.Load())
	}
}
