package sqlitequeue

import (
	"context"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Lanes implements queue.Inspector.
func (q *Queue) Lanes(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var names []string
	err := q.readers.inspect.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			names = append(names, q.numbered(integer(v[0])).name)
			return true
		}, "SELECT DISTINCT lane FROM dead")
	})
	if err != nil {
		return nil, storeError("list lanes", err)
	}
	for _, l := range q.all() {
		if l.inUse() {
			names = append(names, l.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Count implements queue.Inspector.
func (q *Queue) Count(ctx context.Context, name string) (c queue.Counts, err error) {
	if err := ctx.Err(); err != nil {
		return c, err
	}
	l := q.find(name)
	if l == nil {
		return c, q.readers.inspect.over()
	}
	var later, dead int64
	err = q.readers.inspect.read(ctx, func(c *conn) (err error) {
		later, err = c.number("SELECT count(*) FROM job WHERE lane = ? AND due > ? AND due < ?", l.num, q.clock.now(), int64(heldBack))
		if err == nil {
			dead, err = c.number("SELECT count(*) FROM dead WHERE lane = ?", l.num)
		}
		return err
	})
	if err != nil {
		return c, storeError("count jobs", err)
	}
	total, running := l.count()
	c = queue.Counts{Later: int(later), Running: running, Dead: int(dead)}
	c.Due = max(total-running-c.Later, 0)
	return c, nil
}

// Purge implements queue.Inspector. Many jobs are removed a thousand at a time; what is enqueued meanwhile stays.
func (q *Queue) Purge(ctx context.Context, name string) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l := q.find(name)
	if l == nil {
		return 0, q.readers.inspect.over()
	}
	last := int64(0) // up to which job; 0 = not known yet
	for {
		purged, upTo := 0, last
		err := q.writer.write(ctx, "purge a lane", func(t *tx) (err error) {
			if upTo == 0 {
				upTo = q.seq
			}
			purged, err = t.purge(l, upTo)
			return err
		})
		if err != nil || purged == 0 {
			return n, err
		}
		n, last = n+purged, upTo
	}
}

// purge removes a chunk of a lane's jobs up to a seq that do not run, the youngest first, so that none of an order key
// is let go only to be removed. It reports how many.
func (t *tx) purge(l *lane, last int64) (int, error) {
	running := l.runs()
	var all []*row
	err := t.each(func(v []driverValue) bool {
		if seq := integer(v[0]); !running[seq] {
			all = append(all, &row{seq: seq, due: integer(v[1]), orderKey: text(v[2])})
		}
		return len(all) < t.queue.volume.chunk()
	}, "SELECT seq, due, order_key FROM job WHERE lane = ? AND seq <= ? ORDER BY due DESC, seq DESC", l.num, last)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range all {
		if !t.takeOut(l, r.seq, false) {
			continue // it has started since
		}
		n++
		t.drop(r.seq)
		if err := t.remove(l, r); err != nil {
			return n, err
		}
	}
	return n, nil
}
