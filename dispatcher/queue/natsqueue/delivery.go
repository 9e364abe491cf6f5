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
// made again, and the new delivery is the one to answer.
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

// keepLeases renews the lease of everything in flight. A renewal that fails, because the connection is down, is
// made up for by the next.
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
func (q *Queue) acknowledge(d *delivery) { q.answers.add(answer{d: d, done: true}) }

// release returns a message that was not run, or whose outcome cannot be stored, to the server, which delivers it again
// after a delay.
func (q *Queue) release(d *delivery, delay time.Duration) { q.answers.add(answer{d: d, delay: delay}) }

// answer is what is to be said to the server about a delivery.
type answer struct {
	d     *delivery
	done  bool
	delay time.Duration // until it is delivered again, if it is not done
}

// send publishes an answer. The delivery is in flight until then.
func (q *Queue) send(a answer) {
	q.inFlight.remove(a.d)
	switch msg := a.d.latest(); {
	case a.done:
		if !a.d.isPurged() {
			a.d.lane.acknowledged.Store(a.d.seq)
		}
		_ = msg.Ack()
	case a.delay > 0:
		_ = msg.NakWithDelay(a.delay)
	default:
		_ = msg.Nak()
	}
}

// answers are sent in their order by one goroutine: the client's calls block while it connects again, and those who
// answer hold locks or have a deadline. There are never more than deliveries.
type answers struct {
	wake chan struct{} // has room for one

	mu     sync.Mutex
	next   []answer
	busy   bool            // one is being sent
	paused int             // by so many calls of Purge
	idle   []chan struct{} // closed once all are sent
}

func newAnswers() answers { return answers{wake: make(chan struct{}, 1)} }

func (a *answers) add(one answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = append(a.next, one)
	a.notify()
}

func (a *answers) notify() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// pause keeps answers back, from the next one on, as long as it was called with more 1 than -1.
func (a *answers) pause(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused += n
	a.notify()
}

// take returns the next answer to be sent, once the one before has been.
func (a *answers) take() (one answer, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy = len(a.next) > 0 && a.paused == 0; a.busy {
		one, a.next[0] = a.next[0], answer{}
		a.next = a.next[1:]
		return one, true
	}
	if len(a.next) == 0 {
		for _, c := range a.idle {
			close(c)
		}
		a.idle, a.next = nil, nil
	}
	return answer{}, false
}

// sendAnswers sends what is added until the queue is closed and nothing is left.
func (q *Queue) sendAnswers() {
	for {
		if one, ok := q.answers.take(); ok {
			q.send(one)
			continue
		}
		select {
		case <-q.answers.wake:
		case <-q.ctx.Done():
			return
		}
	}
}

// sent returns a channel that is closed once all that was added has been sent.
func (a *answers) sent() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := make(chan struct{})
	if len(a.next) == 0 && !a.busy {
		close(c)
	} else {
		a.idle = append(a.idle, c)
	}
	return c
}

// flush waits until the server has been told all answers so far. What it does not hear of runs again.
func (q *Queue) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	select {
	case <-q.answers.sent():
	case <-ctx.Done():
		return
	}
	_, _ = jsapi.Once(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, q.nc.FlushWithContext(ctx) })
}
