package natsqueue

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// hand is a message in this process's hands: delivered, and not yet settled.
type hand struct {
	lane *lane
	seq  uint64 // in the stream

	mu     sync.Mutex
	msg    jetstream.Msg // of the latest delivery
	orphan bool          // Purge removed the message

	state *head // of a strict lane's first job, set before it starts
}

func (h *hand) latest() jetstream.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.msg
}

// hands are all of them. Each gives a sign of life until it is settled, whatever became of its lane.
type hands struct {
	mu  sync.Mutex
	all map[uint64]*hand
}

// take puts a message in hand. It returns nil for one that is in hand already: the server lost the sign of life, and its
// new delivery is the one to answer.
func (s *hands) take(l *lane, msg jetstream.Msg, seq uint64) *hand {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[uint64]*hand{}
	}
	if h := s.all[seq]; h != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.msg = msg
		return nil
	}
	h := &hand{lane: l, seq: seq, msg: msg}
	s.all[seq] = h
	return h
}

func (s *hands) drop(h *hand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, h.seq)
}

// of lists those of a lane's name.
func (s *hands) of(lane string) []*hand {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []*hand
	for _, h := range s.all {
		if h.lane.name == lane {
			some = append(some, h)
		}
	}
	return some
}

func (s *hands) list() []*hand {
	s.mu.Lock()
	defer s.mu.Unlock()
	some := make([]*hand, 0, len(s.all))
	for _, h := range s.all {
		some = append(some, h)
	}
	return some
}

// pulse gives signs of life for everything in hand. One that fails, because the connection is down, is given by the next.
func (q *Queue) pulse() {
	ticker := time.NewTicker(q.config.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, h := range q.hands.list() {
				_ = h.latest().InProgress()
			}
		case <-q.closed:
			return
		}
	}
}

// acknowledge removes the message for good. The answer is not waited for: if it is lost, the job runs again.
func (q *Queue) acknowledge(h *hand) {
	_ = h.latest().Ack()
	q.hands.drop(h)
}

// giveBack returns a message that was not run, after d.
func (q *Queue) giveBack(h *hand, d time.Duration) {
	if d > 0 {
		_ = h.latest().NakWithDelay(d)
	} else {
		_ = h.latest().Nak()
	}
	q.hands.drop(h)
}
