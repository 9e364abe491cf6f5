package natsqueue

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// delivery is a message that the server has given to this process and that is not settled.
type delivery struct {
	lane *lane
	seq  uint64 // in the stream

	mu     sync.Mutex
	msg    jetstream.Msg // as delivered last
	purged bool          // Purge removed the message

	state *head // of a strict lane's first job, set before it starts
}

func (d *delivery) latest() jetstream.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.msg
}

// inFlight are all deliveries of this process. Each keeps its lease until it is settled, whatever became of its lane.
type inFlight struct {
	mu  sync.Mutex
	all map[uint64]*delivery
}

// add takes a message. It returns nil for one that is in flight already: its lease ran out, or its consumer was made again, and
// the new delivery is the one to answer.
func (f *inFlight) add(l *lane, msg jetstream.Msg, seq uint64) *delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[uint64]*delivery{}
	}
	if d := f.all[seq]; d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.msg = msg
		return nil
	}
	d := &delivery{lane: l, seq: seq, msg: msg}
	f.all[seq] = d
	return d
}

func (f *inFlight) remove(d *delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, d.seq)
}

// of lists those of a lane's name.
func (f *inFlight) of(lane string) []*delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	var some []*delivery
	for _, d := range f.all {
		if d.lane.name == lane {
			some = append(some, d)
		}
	}
	return some
}

func (f *inFlight) list() []*delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	some := make([]*delivery, 0, len(f.all))
	for _, d := range f.all {
		some = append(some, d)
	}
	return some
}

// keepLeases renews the lease of everything in flight. A renewal that fails, because the connection is down, is made up for by
// the next.
func (q *Queue) keepLeases() {
	ticker := time.NewTicker(q.config.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, d := range q.inFlight.list() {
				_ = d.latest().InProgress()
			}
		case <-q.ctx.Done():
			return
		}
	}
}

// acknowledge removes the message for good. The answer is not waited for: if it is lost, the job runs again.
func (q *Queue) acknowledge(d *delivery) {
	_ = d.latest().Ack()
	q.inFlight.remove(d)
}

// release returns a message that was not run, or whose outcome cannot be stored, to the server, which delivers it again
// after a delay.
func (q *Queue) release(d *delivery, delay time.Duration) {
	if delay > 0 {
		_ = d.latest().NakWithDelay(delay)
	} else {
		_ = d.latest().Nak()
	}
	q.inFlight.remove(d)
}
