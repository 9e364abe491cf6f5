package dispatcher

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

func (l *lane) replaceBy(r *activeRoute) *activeRoute {
	l.mu.Lock()
	defer l.mu.Unlock()
	previous := l.current.Load()
	l.swap(r)
	return previous
}

func TestActiveRouteIsIdleWhenReplacedAndReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lane{}
		assert.Nil(t, l.acquire())
		r := newActiveRoute(Route{}, nil)
		assert.Nil(t, l.replaceBy(r))
		assert.Same(t, r, l.acquire())
		assert.Same(t, r, l.acquire())
		r.release()
		assert.Same(t, r, l.replaceBy(nil))
		assert.False(t, isDone(r.idle))
		r.release()
		assert.True(t, isDone(r.idle))
		assert.Nil(t, l.acquire())
	})
}

// Once a route is idle nobody may hold it, whatever the moment at which it was replaced: its channel may be closed.
func TestNobodyHoldsAnIdleRoute(t *testing.T) {
	t.Parallel()
	l := &lane{}
	var stop atomic.Bool
	var held atomic.Int64
	var wg sync.WaitGroup
	l.replaceBy(newActiveRoute(Route{}, nil))
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				r := l.acquire()
				if isDone(r.idle) {
					held.Add(1)
				}
				r.release()
			}
		})
	}
	for range 10_000 {
		previous := l.replaceBy(newActiveRoute(Route{}, nil))
		assert.NoError(t, wait(context.Background(), previous.idle))
	}
	stop.Store(true)
	wg.Wait()
	assert.Zero(t, held.Load())
}
