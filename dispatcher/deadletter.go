package dispatcher

import (
	"context"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// DeadLetters lists deliveries that were given up, the earliest first. A memory queue keeps the latest 1,000. With a
// Lane, those of another tenant are left out: the route's name may have passed to its tenant since they died.
// errors.ErrUnsupported if the queue cannot be inspected; likewise for the other methods about dead letters, and Purge.
func (e *Engine) DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error) {
	b := e.index.Load().named[s.Lane]
	if b == nil {
		return e.queue.DeadLetters(ctx, s)
	}
	limit := s.Limit
	var all []queue.DeadLetter
	for {
		page, err := e.queue.DeadLetters(ctx, s)
		if err != nil {
			return nil, err
		}
		full := limit > 0 && len(page) == s.Limit
		for _, letter := range page {
			s.After = letter.Seq
			if b.takes(letter.Event.Tenant()) {
				all = append(all, letter)
			}
		}
		if !full || len(all) == limit {
			return all, nil
		}
		s.Limit = limit - len(all)
	}
}

// RedeliverDead queues the selected dead letters again, as Redeliver does: one (IDs), all of a route since a time (Lane
// and Since), or all. It reports how many.
func (e *Engine) RedeliverDead(ctx context.Context, s queue.Selection) (int, error) {
	if !e.accept.enter() {
		return 0, ErrShutdown
	}
	defer e.accept.leave()
	return e.queue.Requeue(ctx, s, e.nextGeneration())
}

// DiscardDead removes the selected dead letters for good and reports how many.
func (e *Engine) DiscardDead(ctx context.Context, s queue.Selection) (int, error) {
	return e.queue.Discard(ctx, s)
}

// Purge removes what waits in the lane of a route, which may be a removed one, and reports how many deliveries.
func (e *Engine) Purge(ctx context.Context, route string) (int, error) {
	n, err := e.queue.Purge(ctx, route)
	if b := e.index.Load().named[route]; b != nil {
		b.lane.forgetDeaths()
	}
	return n, err
}
