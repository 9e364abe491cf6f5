package natsqueue

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
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

func (d *delivery) isPurged() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.purged
}

// setPurged marks the message as removed and reports whether it was already.
func (d *delivery) setPurged() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.purged
	d.purged = true
	return before
}

// inFlight are all deliveries of this process. Each keeps its lease until it is settled, whatever became of its lane.
type inFlight struct {
	mu  sync.Mutex
	all map[uint64]*delivery
}

// add takes a message. It returns nil for one that is in flight already: its lease ran out, or its consumer was
// made again, and the new delivery is the one to acknowledge.
func (f *inFlight) add(l *lane, msg jetstream.Msg, seq uint64) *delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// list returns the deliveries of a lane's name, or all if every is true.
func (f *inFlight) list(lane string, every bool) []*delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	var some []*delivery
	for _, d := range f.all {
		if every || d.lane.name == lane {
			some = append(some, d)
		}
	}
	return some
}

// keepLeases renews the lease of everything in flight. If one fails because the connection is down,
// the next follows in time.
func (q *Queue) keepLeases() {
	ticker := time.NewTicker(q.config.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, d := range q.inFlight.list("", true) {
				_ = d.latest().InProgress()
			}
		case <-q.ctx.Done():
			return
		}
	}
}

// acknowledge removes the message for good. It does not wait for the ack: if that is lost, the job runs again.
func (q *Queue) acknowledge(d *delivery) { q.acks.add(ack{d: d, done: true}) }

// release returns a message that was not run, or whose outcome cannot be stored, to the server, which delivers it again
// after a delay.
func (q *Queue) release(d *delivery, delay time.Duration) { q.acks.add(ack{d: d, delay: delay}) }

// ack is the acknowledgement of a delivery, or the opposite (NAK).
type ack struct {
	d     *delivery
	done  bool
	delay time.Duration // until it is delivered again, if it is not done
}

// send publishes an ack. The delivery is in flight until then.
func (q *Queue) send(a ack) {
	q.inFlight.remove(a.d)
	switch msg := a.d.latest(); {
	case a.done:
		_ = msg.Ack()
	case a.delay > 0:
		_ = msg.NakWithDelay(a.delay)
	default:
		_ = msg.Nak()
	}
}

// acks are sent in their order by one goroutine: the client's calls block while it connects again, and those who
// acknowledge hold locks or have a deadline. There are never more than deliveries.
type acks struct {
	mu      sync.Mutex
	changed *sync.Cond
	next    []ack
	sending bool
	paused  int // by so many calls of Purge
}

func newAcks() *acks {
	a := new(acks)
	a.changed = sync.NewCond(&a.mu)
	return a
}

// change changes a and wakes who waits for that.
func (a *acks) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	a.changed.Broadcast()
}

func (a *acks) add(one ack) { a.change(func() { a.next = append(a.next, one) }) }

// pause(1) keeps acks back, from the next one on, until pause(-1).
func (a *acks) pause(n int) { a.change(func() { a.paused += n }) }

// sendAcks sends what is added until the queue is closed and nothing is left.
func (q *Queue) sendAcks() {
	a := q.acks
	defer context.AfterFunc(q.ctx, func() { a.change(func() {}) })()
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		for len(a.next) == 0 || a.paused > 0 {
			if q.ctx.Err() != nil {
				return
			}
			a.changed.Wait()
		}
		one := a.next[0]
		a.next[0] = ack{}
		a.next = a.next[1:]
		a.sending = true
		a.mu.Unlock()
		q.send(one)
		a.mu.Lock()
		a.sending = false
		a.changed.Broadcast()
	}
}

// flush waits until the server has received all acks so far. A job whose ack is lost runs again.
func (q *Queue) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	a := q.acks
	defer context.AfterFunc(ctx, func() { a.change(func() {}) })()
	a.mu.Lock()
	for (len(a.next) > 0 || a.sending) && ctx.Err() == nil {
		a.changed.Wait()
	}
	a.mu.Unlock()
	_, _ = jsapi.Once(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, q.nc.FlushWithContext(ctx) })
}
