package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// MemoryOptions configure a Memory. The zero value is ready for use.
type MemoryOptions struct {
	DeadLetters int // most dead letters kept; the oldest goes first; 0 = 1,000
	IDWindow    int // about how many of the latest events have ids that are known; 0 = 65,536; at least 16
}

// Memory is the queue of a single process. It promises order and isolation but not durability: what waits when the
// process ends is lost. It uses a goroutine per running handler and one runtime timer in all, whatever the number of
// lanes and waiting jobs, and 130 to 165 bytes per waiting job besides the event, which jobs share.
type Memory struct {
	base   time.Time // times are kept as monotonic nanoseconds since
	window idWindow
	alarm  alarm
	dead   deadLetters

	mu    sync.RWMutex
	lanes map[string]*lane // none is ever removed
}

var (
	_ Queue     = (*Memory)(nil)
	_ Bounder   = (*Memory)(nil)
	_ Scheduler = (*Memory)(nil)
	_ Inspector = (*Memory)(nil)
)

// NewMemory returns an empty queue. It needs no closing: once its lanes are stopped, nothing of it runs.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{base: time.Now(), lanes: map[string]*lane{}}
	m.alarm.base, m.alarm.at = m.base, unset
	m.dead.limit = orDefault(o.DeadLetters, 1000)
	m.window.init(orDefault(o.IDWindow, 65_536))
	return m
}

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Properties implements Queue.
func (m *Memory) Properties() Properties {
	return Properties{
		Precision:  10 * time.Millisecond,
		IDWindow:   fmt.Sprintf("about the latest %d events", m.window.limit()),
		KeyedOrder: true,
	}
}

// find returns the lane of that name, or nil.
func (m *Memory) find(name string) *lane {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.lanes[name]
}

// lane returns the lane of that name, which is made when it is first spoken of.
func (m *Memory) lane(name string) *lane {
	if l := m.find(name); l != nil {
		return l
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lanes[name]
	if l == nil {
		l = newLane(m, name, len(m.lanes)+1)
		m.lanes[name] = l
	}
	return l
}

// following returns the lane of that name for the job that follows one of former. Events mostly go to the same lanes in
// the same order, so it is looked up only when it is not the one that followed last time.
func (m *Memory) following(former *lane, name string) *lane {
	if former == nil {
		return m.lane(name)
	}
	if l := former.next.Load(); l != nil && l.name == name {
		return l
	}
	l := m.lane(name)
	former.next.Store(l)
	return l
}

// Open implements Queue.
func (m *Memory) Open(name string, o LaneOptions, h Handler) (Lane, error) {
	l := m.lane(name)
	if err := l.open(o, h); err != nil {
		return nil, err
	}
	return l, nil
}

// Bound implements Bounder.
func (m *Memory) Bound(name string, b Bound) { m.lane(name).setBound(b) }

// Enqueue implements Queue. When an event is in conflict, nothing at all is stored.
func (m *Memory) Enqueue(ctx context.Context, jobs ...Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var r enqueued
	if err := m.enqueue(jobs, &r); err != nil {
		return err
	}
	for i := range r.drops {
		r.drops[i].tell(r.drops[i].job)
	}
	if r.full != nil {
		return &BacklogError{Lanes: r.full}
	}
	return nil
}

func (m *Memory) enqueue(jobs []Job, r *enqueued) error {
	var few [2]sheaf
	sheaves := m.window.sheaves(few[:0], jobs)
	locked := m.window.lock(sheaves)
	defer m.window.unlock(locked)
	if err := m.window.check(sheaves); err != nil {
		return err
	}
	for i := range sheaves {
		m.window.add(m, &sheaves[i], r)
	}
	return nil
}

// enqueued gathers what one Enqueue has to report.
type enqueued struct {
	full  []string
	drops []drop
}

func (r *enqueued) refused(lane string) {
	if !slices.Contains(r.full, lane) {
		r.full = append(r.full, lane)
	}
}

// drop is a job given up for lack of room, and whom to tell once no lock is held.
type drop struct {
	job  Job
	tell func(Job)
}

// Schedule implements Scheduler.
func (m *Memory) Schedule(ctx context.Context, key string, j Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !m.lane(j.Route).schedule(key, &j) {
		return &BacklogError{Lanes: []string{j.Route}}
	}
	return nil
}

// Cancel implements Scheduler.
func (m *Memory) Cancel(ctx context.Context, lane, key string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return m.lane(lane).cancel(key), nil
}
