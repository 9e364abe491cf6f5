package natsqueue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// lane is an open lane: this process's share of it. The server delivers as many messages as the lane's limit lets all
// workers have at a time, so a message that arrives can start, unless the limit was lowered or Admit says to wait; then it is
// held.
type lane struct {
	q        *Queue
	name     string
	token    string // of subjects
	consumer string
	handler  queue.Handler
	admit    func() time.Duration
	ctx      context.Context // of the handlers
	abort    context.CancelFunc
	running  atomic.Int32  // handlers
	wake     chan struct{} // tells tend to look again; has room for one
	ended    chan struct{} // closed when tend has

	mu      sync.Mutex
	limit   int
	stopped bool
	leaving bool    // what arrives is given back: the lane is paused or stopped
	fresh   bool    // the consumer may be new, and not know how often it has delivered
	held    []*hand // delivered, not started
	working int     // goroutines with a message: preparing it, running it, settling it
	bell    *time.Timer
	waiting bool // Admit said not before the bell
	resting bool // and that is so far off that the lane is left to other workers meanwhile
	changed chan struct{}
}

var _ queue.Lane = (*lane)(nil)

func newLane(q *Queue, name string, o queue.LaneOptions, h queue.Handler) *lane {
	l := &lane{
		q: q, name: name, token: token(name), handler: h, admit: o.Admit, limit: o.Limit, fresh: true,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	l.consumer = consumerName(l.token)
	l.ctx, l.abort = context.WithCancel(context.Background())
	return l
}

// receive takes a message the server delivered.
func (l *lane) receive(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return // no message of a consumer
	}
	h := l.q.hands.take(l, msg, meta.Sequence.Stream)
	if h == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.leaving {
		l.q.giveBack(h, 0)
		return
	}
	first := l.fresh
	l.fresh = false
	if care := l.care(msg, first || meta.NumDelivered > 1); care != nil {
		l.working++
		go l.prepare(h, care)
		return
	}
	l.offer(h)
}

// restFrom is from which wait on a lane is left to other workers: what it holds counts against the limit of them all, and
// their Admit may say otherwise. Shorter ones, such as those of a rate, are not worth it.
const restFrom = time.Second

// offer lets a message start, or holds it. Called with the lane locked.
func (l *lane) offer(h *hand) {
	if l.stopped || l.leaving {
		l.q.giveBack(h, 0)
		return
	}
	l.held = append(l.held, h)
	l.kick()
}

// kick starts what may start. Called with the lane locked.
func (l *lane) kick() {
	for len(l.held) > 0 && l.working < l.limit && !l.waiting && !l.stopped {
		if l.admit != nil {
			if wait := l.admit(); wait > 0 {
				l.waiting, l.resting = true, wait > restFrom
				l.bell = time.AfterFunc(wait, l.ring)
				if l.resting {
					l.poke()
				}
				return
			}
		}
		h := l.held[0]
		l.held[0] = nil
		l.held = l.held[1:]
		l.working++
		go l.work(h)
	}
}

// ring is called when Admit is to be asked again.
func (l *lane) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resting {
		l.poke()
	}
	l.waiting, l.resting = false, false
	l.kick()
}

// silence forgets what Admit said. Called with the lane locked.
func (l *lane) silence() {
	l.waiting, l.resting = false, false
	if l.bell != nil {
		l.bell.Stop()
		l.bell = nil
	}
}

// prepare does what has to be done before a message may start, which takes a call of the server.
func (l *lane) prepare(h *hand, care func(*hand) bool) {
	start := care(h)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.working--
	if start {
		l.offer(h)
	}
	l.kick()
	l.signal()
}

// work runs one job.
func (l *lane) work(h *hand) {
	defer l.worked()
	job, err := l.read(h)
	if err != nil {
		l.q.unreadable(h, err)
		return
	}
	// A handler that ends its goroutine, as testing's FailNow does, leaves this outcome standing.
	out := queue.Outcome{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
	defer func() { l.settle(h, job, out) }()
	l.running.Add(1)
	defer l.running.Add(-1)
	out = run(l.ctx, l.handler, job)
}

// run contains a handler's panic.
func run(ctx context.Context, h queue.Handler, j queue.Job) (out queue.Outcome) {
	began := time.Now()
	defer func() {
		if recover() != nil {
			out = queue.Outcome{Action: queue.Retry, Delay: time.Second, Began: began}
		}
	}()
	return h(ctx, j)
}

func (l *lane) read(h *hand) (queue.Job, error) {
	msg := h.latest()
	job, err := readJob(l.name, msg.Headers(), msg.Data())
	if err == nil && h.state != nil {
		h.state.apply(&job)
	}
	return job, err
}

func (l *lane) worked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.working--
	l.kick()
	l.signal()
}

// Limit implements queue.Lane.
func (l *lane) Limit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.silence()
	l.kick()
	l.signal()
	l.poke()
}

// poke makes tend look again.
func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// drainPause is how often Drain asks the server what is due.
const drainPause = 50 * time.Millisecond

// Drain implements queue.Lane. What is due includes what other workers of the lane have in hand.
func (l *lane) Drain(ctx context.Context, until time.Time) error {
	for {
		l.mu.Lock()
		idle, held, paused := l.working == 0, len(l.held) > 0, l.limit <= 0 || l.stopped
		changed := l.change()
		l.mu.Unlock()
		if idle && paused {
			return nil
		}
		if idle && !held {
			if due, err := l.q.due(ctx, l.token); err == nil && due == 0 {
				return nil
			}
		}
		pause := time.NewTimer(drainPause)
		select {
		case <-changed:
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
		pause.Stop()
	}
}

// Stop implements queue.Lane. It also waits until the server has what was settled, as long as ctx lasts.
func (l *lane) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	l.silence()
	held := l.held
	l.held = nil
	l.signal()
	l.mu.Unlock()
	for _, h := range held {
		l.q.giveBack(h, 0)
	}
	l.poke()
	defer l.q.forget(l)
	defer func() { <-l.ended }()
	defer l.abort()
	if l.quiet(ctx) {
		l.q.flush(ctx)
		return nil
	}
	l.abort()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), queue.StopGrace)
	defer cancel()
	if l.quiet(grace) {
		l.q.flush(grace)
		return nil
	}
	return &queue.StillRunningError{Lane: l.name, Handlers: int(l.running.Load())}
}

// quiet waits until nothing works, and reports whether that came before ctx was done.
func (l *lane) quiet(ctx context.Context) bool {
	for {
		l.mu.Lock()
		idle, changed := l.working == 0, l.change()
		l.mu.Unlock()
		if idle {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// change returns a channel that the next signal closes. Called with the lane locked.
func (l *lane) change() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

func (l *lane) signal() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
