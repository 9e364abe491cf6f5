package dispatcher

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

func TestBoundIsIdleWhenRetiredAndReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var current atomic.Pointer[bound]
		assert.Nil(t, acquire(&current))
		b := &bound{idle: make(chan struct{})}
		current.Store(b)
		assert.Same(t, b, acquire(&current))
		assert.Same(t, b, acquire(&current))
		b.release()
		current.Store(nil)
		b.retire()
		assert.False(t, b.isIdle())
		b.release()
		assert.True(t, b.isIdle())
		assert.Nil(t, acquire(&current))
	})
}

// Once a bound is idle nobody may hold it, whatever the moment at which it was replaced: its channel may be closed.
func TestNobodyHoldsAnIdleBound(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[bound]
	var stop atomic.Bool
	var held atomic.Int64
	var wg sync.WaitGroup
	current.Store(&bound{idle: make(chan struct{})})
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				b := acquire(&current)
				if b.isIdle() {
					held.Add(1)
				}
				b.release()
			}
		})
	}
	for range 10_000 {
		former := current.Swap(&bound{idle: make(chan struct{})})
		former.retire()
		<-former.idle
	}
	stop.Store(true)
	wg.Wait()
	assert.Zero(t, held.Load())
}
