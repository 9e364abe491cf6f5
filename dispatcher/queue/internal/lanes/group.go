package lanes

import (
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Groups are the groups whose lanes are limited together. A group is there as long as a lane is in it. All methods are
// safe for concurrent use.
type Groups struct {
	mu  sync.Mutex // taken after a lane's
	all Map[string, *Group]
}

// Group counts the jobs that wait in its lanes.
type Group struct {
	name    string
	lanes   int // guarded by Groups
	waiting atomic.Int64
}

// Move has a lane with so many waiting jobs leave a group, nil = none, for that of its bound, which it returns.
func (g *Groups) Move(from *Group, b queue.Bound, waiting int) *Group {
	to := b.Group
	if b.GroupJobs <= 0 {
		to = ""
	}
	if from != nil && from.name == to {
		return from
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if from != nil {
		from.Add(-waiting)
		if from.lanes--; from.lanes == 0 {
			g.all.Remove(from.name)
		}
	}
	if to == "" {
		return nil
	}
	group := g.all.Get(to)
	if group == nil {
		group = &Group{name: to}
		g.all.Set(to, group)
	}
	group.lanes++
	group.Add(waiting)
	return group
}

// Name is the group's.
func (g *Group) Name() string { return g.name }

// Add counts so many more jobs, or fewer. A nil group counts nothing.
func (g *Group) Add(n int) {
	if g != nil {
		g.waiting.Add(int64(n))
	}
}

// Take counts one more job, if fewer than most wait. A nil group has room for any number.
func (g *Group) Take(most int) bool {
	if g == nil {
		return true
	}
	for n := g.waiting.Load(); n < int64(most); n = g.waiting.Load() {
		if g.waiting.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}
