//go:build unix

package queuetest

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

func (n *naive) Lanes(ctx context.Context) (names []string, err error) {
	n.locked(func() {
		for name, l := range n.lanes {
			holds := len(n.waiting(name)) > 0 || l.open || l.running > 0 || n.is("lists every lane")
			for _, letter := range n.dead {
				holds = holds || letter.Lane == name
			}
			if holds {
				names = append(names, name)
			}
		}
	})
	slices.Sort(names)
	return names, ctx.Err()
}

func (n *naive) Count(ctx context.Context, name string) (c queue.Counts, err error) {
	n.locked(func() {
		for _, j := range n.waiting(name) {
			if j.NotBefore.After(time.Now()) && !n.is("counts later as due") {
				c.Later++
			} else {
				c.Due++
			}
		}
		c.Running = n.lane(name).running
		for _, letter := range n.dead {
			if letter.Lane == name {
				c.Dead++
			}
		}
	})
	return c, ctx.Err()
}

func (n *naive) Purge(ctx context.Context, name string) (purged int, err error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	n.locked(func() {
		for _, j := range n.waiting(name) {
			if n.is("purges what is due only") && j.OrderKey == "x" {
				continue
			}
			purged++
			if n.is("purges in words only") && purged%2 == 0 {
				continue
			}
			n.remove(j)
		}
	})
	return purged, nil
}

func (n *naive) pick(s queue.Selection) (picked []queue.DeadLetter) {
	switch n.defect {
	case "ignores Since":
		s.Since = time.Time{}
	case "ignores After":
		s.After = 0
	case "ignores Limit":
		s.Limit = 0
	case "ignores Lane":
		s.Lane = ""
	case "ignores LanePrefix":
		s.LanePrefix = ""
	case "no ids are all":
		if len(s.IDs) == 0 {
			s.IDs = nil
		}
	}
	for _, letter := range n.dead {
		if s.Match(letter) && (s.Limit == 0 || len(picked) < s.Limit) {
			picked = append(picked, letter)
		}
	}
	return picked
}

func (n *naive) DeadLetters(ctx context.Context, s queue.Selection) (letters []queue.DeadLetter, err error) {
	n.locked(func() { letters = n.pick(s) })
	return letters, ctx.Err()
}

func (n *naive) take(s queue.Selection) []queue.DeadLetter {
	picked := n.pick(s)
	for _, letter := range picked {
		n.removeDead(func(l queue.DeadLetter) bool { return l.Seq == letter.Seq })
	}
	return picked
}

func (n *naive) Requeue(ctx context.Context, s queue.Selection, generation int64) (requeued int, err error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	n.locked(func() {
		for _, letter := range n.take(s) {
			requeued++
			j := letter.Job
			j.Generation, j.NotBefore = generation, time.Time{}
			if !n.is("requeues with its past") {
				j.Attempt, j.FirstTried, j.Enqueued = 0, time.Time{}, time.Now()
			}
			if n.is("requeues as the same") {
				j.Generation = letter.Generation
			}
			l := n.lane(j.Lane)
			if n.is("requeues what has room") && !n.room(l, new([]func()), new(queue.BacklogError)) {
				continue
			}
			n.put(&naiveJob{Job: j})
			l.pump()
		}
	})
	return requeued, nil
}

func (n *naive) Discard(ctx context.Context, s queue.Selection) (discarded int, err error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	n.locked(func() { discarded = len(n.take(s)) })
	return discarded, nil
}
