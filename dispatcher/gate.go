package dispatcher

import (
	"math"
	"sync"
	"sync/atomic"
)

// gate lets calls in until it is closed, and its closing waits until the last of them has left. Unlike with a read
// lock, a call can enter again from inside while somebody closes it: an observer that dispatches must not lock up a
// shutdown.
type gate struct {
	calls atomic.Int64 // inside; below 0 once it is closed
	once  sync.Once
	empty chan struct{} // closed when the gate is and the last call has left
}

// gateClosed is what closing adds to calls.
const gateClosed = math.MinInt64 / 2

// enter reports whether the call may go on; if so, it has to leave.
func (g *gate) enter() bool {
	if g.calls.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.calls.Add(-1) == gateClosed {
		g.once.Do(func() { close(g.empty) })
	}
}

// close refuses all later calls and waits for those inside. It reports whether it was the first, which alone waits.
func (g *gate) close() bool {
	for {
		n := g.calls.Load()
		if n < 0 {
			return false
		}
		if g.calls.CompareAndSwap(n, n+gateClosed) {
			if n > 0 {
				<-g.empty
			}
			return true
		}
	}
}

func (g *gate) isClosed() bool { return g.calls.Load() < 0 }
