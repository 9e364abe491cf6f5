package natsqueue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// lane is an open lane: this process's share of it. The server delivers as many messages as the lane's limit lets
// all workers have at a time, so a message that arrives can start, unless the limit was lowered or Admit says to
// wait; then it is held.
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
	wake     chan struct{} // makes serve look again; has room for one
	ended    chan struct{} // closed when serve has returned

	mu         sync.Mutex
	limit      int
	stopped    bool
	leaving    bool        // what arrives is given back: the lane is paused or stopped
	held       []*delivery // not started
	working    int         // goroutines with a message: preparing it, running it, settling it
	admitTimer *time.Timer
	holds      int  // calls of Purge, during which nothing starts
	waiting    bool // Admit said not before the timer
	resting    bool // and that is so far off that the lane is left to other workers meanwhile
	warned     time.Time
	changed    chan struct{}
}

var _ queue.Lane = (*lane)(nil)

func newLane(q *Queue, name string, o queue.LaneOptions, h queue.Handler) *lane {
	l := &lane{
		q: q, name: name, token: token(name), handler: h, admit: o.Admit, limit: o.Limit,
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
	d := l.q.inFlight.add(l, msg, meta.Sequence.Stream)
	if d == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.leaving {
		l.q.release(d, 0)
		return
	}
	if ready := l.preparation(msg, meta); ready != nil {
		l.working++
		go l.prepare(d, ready)
		return
	}
	l.offer(d)
}

// restFrom is from which wait on a lane is left to other workers: what it holds counts against the limit of them
// all, and their Admit may say otherwise. Shorter ones, such as those of a rate, are not worth it.
const restFrom = time.Second

// offer lets a message start, or holds it. Called with the lane locked.
func (l *lane) offer(d *delivery) {
	if l.stopped || l.leaving {
		l.q.release(d, 0)
		return
	}
	l.held = append(l.held, d)
	l.startNext()
}

// startNext starts what may start. Called with the lane locked.
func (l *lane) startNext() {
	for len(l.held) > 0 && l.working < l.limit && !l.waiting && !l.stopped && l.holds == 0 {
		if l.admit != nil {
			if wait := l.admit(); wait > 0 {
				l.waiting, l.resting = true, wait > restFrom
				l.admitTimer = time.AfterFunc(wait, l.admitAgain)
				if l.resting {
					l.wakeUp()
				}
				return
			}
		}
		d := l.held[0]
		l.held[0] = nil
		l.held = l.held[1:]
		l.working++
		go l.work(d)
	}
}

// admitAgain is called when Admit is to be asked again.
func (l *lane) admitAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resting {
		l.wakeUp()
	}
	l.waiting, l.resting = false, false
	l.startNext()
}

// clearWait forgets what Admit said. Called with the lane locked.
func (l *lane) clearWait() {
	l.waiting, l.resting = false, false
	if l.admitTimer != nil {
		l.admitTimer.Stop()
		l.admitTimer = nil
	}
}

// warnPause is the least time between two warnings about a lane that say why its jobs wait.
const warnPause = time.Minute

// warn logs what could not be done so that the lane's jobs wait: at once, and then once in a while for as long
// as it lasts.
func (l *lane) warn(toDo string, err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	recent := !l.warned.IsZero() && time.Since(l.warned) < warnPause
	if !recent {
		l.warned = time.Now()
	}
	l.mu.Unlock()
	if !recent {
		l.q.config.Logger.Warn("tocsin: the lane is not served until the NATS servers answer", "route", l.name, "to_do", toDo, "error", err)
	}
}

// recovered logs the end of what was warned about.
func (l *lane) recovered() {
	l.mu.Lock()
	warned := !l.warned.IsZero()
	l.warned = time.Time{}
	l.mu.Unlock()
	if warned {
		l.q.config.Logger.Info("tocsin: the lane is served again", "route", l.name)
	}
}

// prepare does what has to be done before a message may start, which takes a call of the server.
func (l *lane) prepare(d *delivery, ready func(*delivery) bool) {
	if !ready(d) {
		d = nil
	}
	l.worked(d)
}

// work runs one job.
func (l *lane) work(d *delivery) {
	defer l.worked(nil)
	job, err := l.read(d)
	if err != nil {
		l.q.setAside(d, err)
		return
	}
	// A handler that panics, or ends its goroutine as testing's FailNow does, leaves this outcome standing.
	out := queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
	l.running.Add(1)
	defer func() {
		_ = recover()
		l.running.Add(-1)
		l.settle(d, job, out)
	}()
	out = l.handler(l.ctx, job)
}

func (l *lane) read(d *delivery) (queue.Job, error) {
	msg := d.latest()
	job, err := readJob(l.name, msg.Headers(), msg.Data())
	if err == nil && d.state != nil {
		d.state.apply(&job)
	}
	return job, err
}

// worked is called at the end of a goroutine with a message, which may start if it is given.
func (l *lane) worked(prepared *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.working--
	if prepared != nil {
		l.offer(prepared)
	}
	l.startNext()
	l.signal()
}

// Limit implements queue.Lane.
func (l *lane) Limit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.clearWait()
	l.startNext()
	l.signal()
	l.wakeUp()
}

// wakeUp makes serve look again.
func (l *lane) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// drainPause and mostDrainPause are how often Drain asks the servers what is due.
const (
	drainPause     = 50 * time.Millisecond
	mostDrainPause = 500 * time.Millisecond
)

// Drain implements queue.Lane. What is due includes what other workers of the lane run or hold, and retries and
// scheduled jobs whose time, by the servers' clock, comes before until; each is waited for until it has run,
// although it may start up to Properties.Precision after until. It looks every half a second at least.
func (l *lane) Drain(ctx context.Context, until time.Time) error {
	end := l.q.clock.now()
	if !until.IsZero() {
		end = end.Add(time.Until(until))
	}
	for wait := drainPause; ; wait = min(2*wait, mostDrainPause) {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.mu.Lock()
		idle, held, paused := l.working == 0, len(l.held) > 0, l.limit <= 0 || l.stopped
		changed := l.change()
		l.mu.Unlock()
		if idle && paused {
			return nil
		}
		if idle && !held {
			if due, err := l.q.due(ctx, l.token, end); err == nil && !due {
				return nil
			}
		}
		pause := time.NewTimer(wait)
		select {
		case <-changed:
			wait = drainPause / 2
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// Stop implements queue.Lane. It also waits until the server has what was settled, as long as ctx lasts.
func (l *lane) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	l.clearWait()
	held := l.held
	l.held = nil
	l.signal()
	l.mu.Unlock()
	for _, d := range held {
		l.q.release(d, 0)
	}
	l.wakeUp()
	defer l.q.removeLane(l)
	defer func() { <-l.ended }()
	defer l.abort()
	if l.awaitIdle(ctx) {
		l.q.flush(ctx)
		return nil
	}
	l.abort()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), queue.StopGrace)
	defer cancel()
	if l.awaitIdle(grace) {
		l.q.flush(grace)
		return nil
	}
	return &queue.StillRunningError{Lane: l.name, Handlers: int(l.running.Load())}
}

// awaitIdle waits until nothing works, and reports whether that came before ctx was done.
func (l *lane) awaitIdle(ctx context.Context) bool {
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
