package memoryqueue

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// deadLetters keeps the latest dead letters.
type deadLetters struct {
	mu      sync.Mutex
	limit   int
	seq     int64
	letters []queue.DeadLetter // by Seq
}

// addFailed adds a job whose outcome is Dead.
func (d *deadLetters) addFailed(j queue.Job, out queue.Disposition) {
	if !out.Began.IsZero() {
		j.Attempt++
		if j.FirstTried.IsZero() {
			j.FirstTried = out.Began
		}
	}
	d.add(queue.DeadLetter{Job: j, Reason: out.Reason})
}

func (d *deadLetters) add(l queue.DeadLetter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	l.Seq, l.At = d.seq, time.Now()
	if len(d.letters) >= d.limit {
		d.letters[0] = queue.DeadLetter{}
		d.letters = d.letters[1:]
	}
	d.letters = append(d.letters, l)
}

func (d *deadLetters) list(s queue.Selection) []queue.DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pick(s)
}

func (d *deadLetters) count(lane string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.letters {
		if d.letters[i].Lane == lane {
			n++
		}
	}
	return n
}

// remove removes the selected letters and returns them.
func (d *deadLetters) remove(s queue.Selection) []queue.DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	picked := d.pick(s)
	d.letters = slices.DeleteFunc(d.letters, func(l queue.DeadLetter) bool {
		_, ok := slices.BinarySearchFunc(picked, l.Seq, func(l queue.DeadLetter, seq int64) int { return int(l.Seq - seq) })
		return ok
	})
	return picked
}

func (d *deadLetters) pick(s queue.Selection) []queue.DeadLetter {
	var picked []queue.DeadLetter
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
