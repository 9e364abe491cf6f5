package queue

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// deadLetters keeps the latest dead letters of a Memory.
type deadLetters struct {
	mu      sync.Mutex
	limit   int
	seq     int64
	letters []DeadLetter // by Seq
}

func (d *deadLetters) add(l DeadLetter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	l.Seq = d.seq
	if len(d.letters) >= d.limit {
		d.letters[0] = DeadLetter{}
		d.letters = d.letters[1:]
	}
	d.letters = append(d.letters, l)
}

func (d *deadLetters) list(s Selection) []DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pick(s)
}

func (d *deadLetters) count(lane string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.letters {
		if d.letters[i].Route == lane {
			n++
		}
	}
	return n
}

// take removes the selected letters and returns them.
func (d *deadLetters) take(s Selection) []DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	picked := d.pick(s)
	d.letters = slices.DeleteFunc(d.letters, func(l DeadLetter) bool {
		_, ok := slices.BinarySearchFunc(picked, l.Seq, func(l DeadLetter, seq int64) int { return int(l.Seq - seq) })
		return ok
	})
	return picked
}

func (d *deadLetters) pick(s Selection) []DeadLetter {
	var picked []DeadLetter
	for _, l := range d.letters {
		if s.Limit > 0 && len(picked) == s.Limit {
			break
		}
		if s.Match(l) {
			picked = append(picked, l)
		}
	}
	return picked
}

// Lanes implements Inspector.
func (m *Memory) Lanes(ctx context.Context) ([]string, error) {
	var names []string
	for _, l := range m.all() {
		if l.inUse() {
			names = append(names, l.name)
		}
	}
	for _, letter := range m.dead.list(Selection{}) {
		names = append(names, letter.Route)
	}
	slices.Sort(names)
	return slices.Compact(names), ctx.Err()
}

func (m *Memory) all() []*lane {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Collect(maps.Values(m.lanes))
}

// Count implements Inspector.
func (m *Memory) Count(ctx context.Context, name string) (Counts, error) {
	var c Counts
	if l := m.find(name); l != nil {
		c = l.count()
	}
	c.Dead = m.dead.count(name)
	return c, ctx.Err()
}

// Purge implements Inspector.
func (m *Memory) Purge(ctx context.Context, name string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if l := m.find(name); l != nil {
		return l.purge(), nil
	}
	return 0, nil
}

// DeadLetters implements Inspector.
func (m *Memory) DeadLetters(ctx context.Context, s Selection) ([]DeadLetter, error) {
	return m.dead.list(s), ctx.Err()
}

// Requeue implements Inspector.
func (m *Memory) Requeue(ctx context.Context, s Selection, generation int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	letters := m.dead.take(s)
	now := time.Now()
	for _, letter := range letters {
		j := letter.Job
		j.Generation, j.Attempt, j.Enqueued = generation, 0, now
		j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
		m.lane(j.Route).revive(&j)
	}
	return len(letters), nil
}

// Discard implements Inspector.
func (m *Memory) Discard(ctx context.Context, s Selection) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return len(m.dead.take(s)), nil
}
