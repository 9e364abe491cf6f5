package memoryqueue

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// deadLetters keeps the latest dead letters of each lane.
type deadLetters struct {
	mu    sync.Mutex
	seq   int64
	lanes []*deadLane // those that have any, by name
	ends  int64       // when the first of them has reached its age, Unix nanoseconds, as far as is known; 0 = none has one
	aged  int64       // when those that had were last removed
}

// deadLane are the dead letters of a lane, by Seq.
type deadLane struct {
	name    string
	letters []deadLetter
}

type deadLetter struct {
	queue.DeadLetter
	ends int64 // when it has reached its age, Unix nanoseconds
}

// addFailed adds a job whose outcome is Dead.
func (d *deadLetters) addFailed(j queue.Job, out queue.Disposition, b queue.Bound) {
	if !out.Began.IsZero() {
		j.Attempt++
		if j.FirstTried.IsZero() {
			j.FirstTried = out.Began
		}
	}
	d.add(queue.DeadLetter{Job: j, Reason: out.Reason}, b)
}

// add adds a dead letter to its lane, which keeps as many as its bound says.
func (d *deadLetters) add(l queue.DeadLetter, b queue.Bound) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeAged()
	d.seq++
	l.Seq, l.At = d.seq, time.Now()
	letter := deadLetter{l, math.MaxInt64}
	if b.DeadLetterAge > 0 {
		letter.ends = l.At.Add(b.DeadLetterAge).UnixNano()
		if d.ends == 0 || letter.ends < d.ends {
			d.ends = letter.ends
		}
	}
	i, ok := d.find(l.Lane)
	if !ok {
		d.lanes = slices.Insert(d.lanes, i, &deadLane{name: l.Lane})
	}
	most := b.DeadLetters
	if most <= 0 {
		most = queue.DefaultDeadLetters
	}
	lane := d.lanes[i]
	if tooMany := len(lane.letters) + 1 - most; tooMany > 0 {
		clear(lane.letters[:tooMany])
		lane.letters = lane.letters[tooMany:]
	}
	lane.letters = append(lane.letters, letter)
}

// find finds the place of a lane.
func (d *deadLetters) find(name string) (int, bool) {
	return slices.BinarySearchFunc(d.lanes, name, func(l *deadLane, name string) int { return cmp.Compare(l.name, name) })
}

// removeAged removes what has reached its age, at most once a second.
func (d *deadLetters) removeAged() {
	now := time.Now().UnixNano()
	if d.ends == 0 || now < d.ends || now >= d.aged && now < d.aged+int64(time.Second) {
		return
	}
	d.ends, d.aged = 0, now
	for _, lane := range d.lanes {
		lane.letters = slices.DeleteFunc(lane.letters, func(l deadLetter) bool { return l.ends <= now })
		for _, l := range lane.letters {
			if l.ends < math.MaxInt64 && (d.ends == 0 || l.ends < d.ends) {
				d.ends = l.ends
			}
		}
	}
	d.removeEmpty()
}

// removeEmpty removes lanes without dead letters.
func (d *deadLetters) removeEmpty() {
	d.lanes = slices.DeleteFunc(d.lanes, func(l *deadLane) bool { return len(l.letters) == 0 })
	d.shrink()
}

func (d *deadLetters) shrink() {
	if len(d.lanes) < cap(d.lanes)/4 {
		d.lanes = append(make([]*deadLane, 0, len(d.lanes)), d.lanes...)
	}
}

// selected are the lanes of which a selection may pick.
func (d *deadLetters) selected(s queue.Selection) []*deadLane {
	if s.Lane != "" {
		if i, ok := d.find(s.Lane); ok {
			return d.lanes[i : i+1]
		}
		return nil
	}
	first, _ := d.find(s.LanePrefix)
	last := first
	for last < len(d.lanes) && strings.HasPrefix(d.lanes[last].name, s.LanePrefix) {
		last++
	}
	return d.lanes[first:last]
}

// pick returns the selected dead letters, the earliest first.
func (d *deadLetters) pick(s queue.Selection) (picked []queue.DeadLetter) {
	d.removeAged()
	lanes := d.selected(s)
	for _, lane := range lanes {
		first := sort.Search(len(lane.letters), func(i int) bool { return lane.letters[i].Seq > s.After })
		before := len(picked)
		for i := first; i < len(lane.letters) && (s.Limit <= 0 || len(picked)-before < s.Limit); i++ {
			if l := lane.letters[i].DeadLetter; s.Match(l) {
				picked = append(picked, l)
			}
		}
	}
	if len(lanes) > 1 {
		slices.SortFunc(picked, func(a, b queue.DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	if s.Limit > 0 && len(picked) > s.Limit {
		picked = picked[:s.Limit]
	}
	return picked
}

func (d *deadLetters) list(s queue.Selection) []queue.DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pick(s)
}

// names are the lanes that have dead letters.
func (d *deadLetters) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeAged()
	names := make([]string, len(d.lanes))
	for i, l := range d.lanes {
		names[i] = l.name
	}
	return names
}

func (d *deadLetters) count(lane string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeAged()
	i, ok := d.find(lane)
	if !ok {
		return 0
	}
	return len(d.lanes[i].letters)
}

// remove removes the selected dead letters and returns them.
func (d *deadLetters) remove(s queue.Selection) []queue.DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	picked := d.pick(s)
	taken := make(map[int64]bool, len(picked))
	for _, l := range picked {
		taken[l.Seq] = true
	}
	lanes := d.selected(s)
	for _, lane := range lanes {
		lane.letters = slices.DeleteFunc(lane.letters, func(l deadLetter) bool { return taken[l.Seq] })
	}
	switch {
	case len(lanes) > 1:
		d.removeEmpty()
	case len(lanes) == 1 && len(lanes[0].letters) == 0:
		i, _ := d.find(lanes[0].name)
		d.lanes = slices.Delete(d.lanes, i, i+1)
		d.shrink()
	}
	return picked
}

// DeadLetters implements queue.Queue.
func (q *Queue) DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error) {
	return q.dead.list(s), ctx.Err()
}

// Requeue implements queue.Queue.
func (q *Queue) Requeue(ctx context.Context, s queue.Selection, generation int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	letters := q.dead.remove(s)
	now := time.Now()
	for _, letter := range letters {
		j := letter.Job
		j.Generation, j.Attempt, j.Enqueued = generation, 0, now
		j.NotBefore, j.FirstTried = time.Time{}, time.Time{}
		q.scheduler.Requeue(j)
	}
	return len(letters), nil
}

// Discard implements queue.Queue.
func (q *Queue) Discard(ctx context.Context, s queue.Selection) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return len(q.dead.remove(s)), nil
}
