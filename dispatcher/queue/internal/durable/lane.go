package durable

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Lane is one route's share of a Queue, for as long as it is open or the store has something of it.
type Lane struct {
	Name string
	Key  uint64 // of the name, the same in every process
	Num  int64  // the store's own, which only its transactions and loads use; 0 = it has given none

	inner   *lanes.Lane
	unloads atomic.Int64 // of a shared store: how often what waits was taken out of memory

	mu     sync.Mutex
	bound  queue.Bound
	bounds int          // how many there were
	kept   int64        // jobs up to this number are never dropped, as this bound is
	group  *lanes.Group // of bound; nil = none
	counts counts

	// The writer's:
	pending    counts // what its transaction changes
	taken      int    // jobs in pending that the group has counted
	touched    bool   // by its transaction
	held       lanes.Map[int64, *lanes.Entry]
	serving    bool  // held is complete up to cursor: the lane was loaded since it was closed
	cursor     int64 // jobs up to this number that may start at once are in held
	unreadable bool  // the last load failed
	owned      bool  // of a shared store: it belongs to this process
	idle       bool  // it is among those to be forgotten
}

// counts are jobs in the store, those of them that have started and have no outcome there, and dead letters.
type counts struct{ total, running, dead int }

func (c counts) waiting() int { return c.total - c.running }

func (c *counts) add(d counts) {
	c.total += d.total
	c.running += d.running
	c.dead += d.dead
}

func newLane(inner *lanes.Lane) *Lane {
	return &Lane{Name: inner.Name(), Key: KeyOf(inner.Name()), inner: inner}
}

// KeyOf is the Lane.Key of a name: names come from elsewhere and keys outlive the process, so it is of SHA-256.
func KeyOf(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

// laneOf is the durable side of a scheduler's lane.
func laneOf(inner *lanes.Lane) *Lane {
	l, _ := inner.Data().(*Lane)
	return l
}

// add changes the numbers, all at once. Of the jobs, the group has counted so many.
func (l *Lane) add(d counts, taken int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.add(d)
	if l.group != nil {
		l.group.Add(d.waiting() - taken)
	}
}

func (l *Lane) count() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// isEmpty reports whether the store has nothing of the lane.
func (l *Lane) isEmpty() bool {
	c := l.count()
	return c.total == 0 && c.dead == 0
}

// setBound is the scheduler's hook.
func (l *Lane) setBound(groups *lanes.Groups, b queue.Bound) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bound, l.bounds, l.kept, l.group = b, l.bounds+1, 0, groups.Move(l.group, b, l.counts.waiting())
}

func (l *Lane) getBound() queue.Bound {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound
}

// dropping is the lane's bound, which of the bounds it is, and the number up to which it keeps all jobs. keep enlarges
// that of the same bound.
func (l *Lane) dropping() (b queue.Bound, which int, kept int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound, l.bounds, l.kept
}

func (l *Lane) keep(which int, upTo int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bounds == which {
		l.kept = upTo
	}
}

// room counts one more waiting job for the writer's transaction, if there is room. It reports whether the lane's own
// backlog has any.
func (l *Lane) room() (ok, own bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own = l.bound.Jobs <= 0 || l.counts.waiting()+l.pending.waiting() < l.bound.Jobs
	if !own || l.group == nil {
		return own, own
	}
	if !l.group.Take(l.bound.GroupJobs) {
		return false, true
	}
	l.taken++
	return true, true
}
