package durable

import (
	"context"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Lanes implements queue.Queue.
func (q *Queue) Lanes(ctx context.Context) ([]string, error) {
	if err := q.writer.over(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, l := range q.scheduler.All() {
		if !laneOf(l).isEmpty() || l.State().Open {
			names = append(names, l.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Count implements queue.Queue.
func (q *Queue) Count(ctx context.Context, name string) (queue.Counts, error) {
	l := q.find(name)
	if l == nil || l.isEmpty() {
		return queue.Counts{}, q.writer.over(ctx)
	}
	later, err := q.Store.Later(ctx, name, q.Now())
	if err != nil {
		return queue.Counts{}, q.Store.Error("count jobs", err)
	}
	c := l.count()
	return queue.Counts{Due: max(c.waiting()-later, 0), Later: later, Running: c.running, Dead: c.dead}, nil
}

// Purge implements queue.Queue. Many jobs are removed a chunk at a time; what is enqueued meanwhile stays.
func (q *Queue) Purge(ctx context.Context, name string) (int, error) {
	if q.shared == nil && q.find(name) == nil {
		return 0, q.writer.over(ctx)
	}
	return q.purge(ctx, name, 0)
}

// PurgeBelow is Purge of the jobs with numbers below that.
func (q *Queue) PurgeBelow(ctx context.Context, name string, below int64) (int, error) {
	return q.purge(ctx, name, below-1)
}

// purge removes jobs with numbers up to last; 0 = that of the latest one when it begins.
func (q *Queue) purge(ctx context.Context, name string, last int64) (n int, err error) {
	for {
		purged, upTo := 0, last
		err := q.write(ctx, "purge a lane", 1, func(t *transaction) error {
			if upTo == 0 {
				var err error
				if upTo, err = q.lastNum(); err != nil {
					return err
				}
			}
			l := q.lane(name)
			refs, err := t.Waiting(l, upTo, q.Chunk, func(num int64) bool { return !t.take(l, num, true) })
			if err != nil {
				return err
			}
			purged = len(refs)
			return t.remove(l, refs)
		})
		if err != nil || purged == 0 {
			return n, err
		}
		n, last = n+purged, upTo
	}
}

// DeadLetters implements queue.Queue. A dead letter whose event cannot be read has none.
func (q *Queue) DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error) {
	found, err := q.Store.DeadLetters(ctx, s)
	return found, q.Store.Error("read dead letters", err)
}

// Requeue implements queue.Queue. Many dead letters are requeued a chunk at a time: after an error those of the
// number returned are.
func (q *Queue) Requeue(ctx context.Context, s queue.Selection, generation int64) (int, error) {
	return q.takeDead(ctx, "requeue dead letters", s, &generation)
}

// Discard implements queue.Queue, as Requeue a chunk at a time.
func (q *Queue) Discard(ctx context.Context, s queue.Selection) (int, error) {
	return q.takeDead(ctx, "discard dead letters", s, nil)
}

// takeDead removes the selected dead letters, those that become dead meanwhile not.
func (q *Queue) takeDead(ctx context.Context, op string, s queue.Selection, generation *int64) (n int, err error) {
	for last := int64(-1); s.Limit <= 0 || n < s.Limit; {
		limit := q.Chunk
		if s.Limit > 0 {
			limit = min(limit, s.Limit-n)
		}
		taken, after, upTo := 0, s, last
		err := q.write(ctx, op, 1, func(t *transaction) (err error) {
			if upTo < 0 {
				if upTo, err = t.LastDead(); err != nil {
					return err
				}
			}
			dead, err := t.TakeDead(s, upTo, limit, generation)
			taken, after.After = len(dead.Lanes), dead.Seq
			for _, name := range dead.Lanes {
				t.count(q.lane(name), counts{dead: -1})
			}
			for _, j := range dead.Requeued {
				t.count(q.lane(j.Lane), counts{total: 1})
			}
			t.fresh = append(t.fresh, dead.Requeued...)
			return err
		})
		if err != nil || taken == 0 {
			return n, err
		}
		n, s.After, last = n+taken, after.After, upTo
	}
	return n, nil
}
