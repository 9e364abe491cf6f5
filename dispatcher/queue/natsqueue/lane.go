package natsqueue

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// lane is an open lane. As long as this process owns it, it has the first of its messages here, in their order, and
// starts them. What is about the servers is done by serve, one step at a time.
type lane struct {
	q       *Queue
	name    string
	token   string // of subjects
	handler queue.Handler
	admit   func() time.Duration
	ctx     context.Context // of the handlers
	abort   context.CancelFunc
	running atomic.Int32 // handlers
	// deadLock is held while a dead letter is stored; it has room for one. mostDead is how many there are at most; -1 =
	// not known.
	deadLock chan struct{}
	mostDead atomic.Int64
	before   *lane // opened before under this name, if its handlers ran on when it was stopped

	mu         sync.Mutex
	limit      int
	stopped    bool
	out        map[uint64]*delivery // all that is here and not settled, by number
	held       []*delivery          // of these, not started, by number
	working    int                  // of these, with a goroutine: preparing, running, settling
	admitTimer *time.Timer
	waiting    bool      // Admit said not before the timer
	resting    bool      // and that is so far off that the lane is left to other workers meanwhile
	holds      int       // calls of Purge, during which nothing starts and no message is removed
	orphans    orphans   // jobs that are discarded when they come
	idleSince  time.Time // when the last one was settled

	ownership
	removals []*removal // what is to be removed at the servers
	removing bool       // a goroutine asks for that
	deleting int        // requests on their way; what is settled meanwhile waits for them
	retrying int        // and those that are made again
	changed  chan struct{}
}

var _ queue.Lane = (*lane)(nil)

func newLane(q *Queue, name string, o queue.LaneOptions, h queue.Handler) *lane {
	l := &lane{
		q: q, name: name, token: token(name), handler: h, admit: o.Admit, limit: o.Limit, out: map[uint64]*delivery{},
		deadLock: make(chan struct{}, 1),
	}
	l.ctx, l.abort = context.WithCancel(context.Background())
	return l
}

// settling bounds what is done about the outcome of a handler. What is under way when the lane is stopped and its time
// is up may still succeed, but not make Stop wait for more than its grace.
func (l *lane) settling() (context.Context, context.CancelFunc) {
	ctx, cancel := l.q.bounded(context.Background())
	stop := context.AfterFunc(l.ctx, func() { time.AfterFunc(queue.StopGrace/2, cancel) })
	return ctx, func() { stop(); cancel() }
}

// delivery is a message of a lane that this process owns, from when it is read until it is settled.
type delivery struct {
	*jetstream.RawStreamMsg
	state    *head     // of a strict lane's first job
	at       time.Time // not before, by this process's clock; zero = at once
	removing bool      // settled, but for the removal of its message
	purged   atomic.Bool
}

// keyed reports whether the job has an order key.
func (d *delivery) keyed() bool { return d.Header.Get(headerOrderKey) != "" }

// scheduled reports whether Cancel finds the job by a key.
func (d *delivery) scheduled() bool { return d.Header.Get(headerNumber) != "" }

// restFrom is from which wait on a lane is left to other workers: their Admit may say otherwise. Shorter ones, such as
// those of a rate, are not worth it.
const restFrom = time.Second

// startNext starts what may start. Called with the lane locked.
func (l *lane) startNext() {
	for l.owned && !l.stopped && !l.waiting && !l.yielding && l.holds == 0 && l.working+l.leftRunning() < l.limit {
		i := l.first()
		if i < 0 || l.q.current() == "" {
			break
		}
		if l.admit != nil {
			if wait := l.admit(); wait > 0 {
				l.waiting, l.resting = true, wait > restFrom
				l.admitTimer = time.AfterFunc(wait, l.admitAgain)
				break
			}
		}
		d := l.held[i]
		if i == 0 {
			l.held[0] = nil
			l.held = l.held[1:]
		} else {
			l.held = slices.Delete(l.held, i, i+1)
		}
		l.working++
		if l.ran++; l.ran == fewJobs && l.wanted != "" {
			time.AfterFunc(max(slice-time.Since(l.since), 0), l.yield)
		}
		go l.work(d)
	}
	l.setBusy(l.owned && len(l.held)+l.working > 0)
}

// inOrder is how many of those held come before all that has not been read. Called with the lane locked.
func (l *lane) inOrder() int {
	n := len(l.held)
	for (l.unread || l.loading) && n > 0 && l.held[n-1].Sequence >= l.cursor {
		n--
	}
	return n
}

// first finds the first job that may start now; -1 = none. Called with the lane locked.
func (l *lane) first() int {
	for i, d := range l.held[:l.inOrder()] {
		switch {
		case d.at.IsZero() || !time.Now().Before(d.at):
			return i
		case l.limit <= 1 && d.keyed():
			return -1 // it holds the others up
		}
	}
	return -1
}

// leftRunning is how many jobs run that were started before the lane was opened. Called with the lane locked.
func (l *lane) leftRunning() int {
	if l.before == nil {
		return 0
	}
	l.before.mu.Lock()
	defer l.before.mu.Unlock()
	return l.before.working + l.before.leftRunning()
}

// has reports whether a message is here. Called with the lane locked.
func (l *lane) has(seq uint64) bool {
	if l.out[seq] != nil {
		return true
	}
	if l.before == nil {
		return false
	}
	l.before.mu.Lock()
	defer l.before.mu.Unlock()
	return l.before.has(seq)
}

// admitAgain is called when Admit is to be asked again.
func (l *lane) admitAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting, l.resting = false, false
	l.step()
}

// clearWait forgets what Admit said. Called with the lane locked.
func (l *lane) clearWait() {
	l.waiting, l.resting = false, false
	if l.admitTimer != nil {
		l.admitTimer.Stop()
		l.admitTimer = nil
	}
}

// work runs one job, unless it may not start now.
func (l *lane) work(d *delivery) {
	if !l.prepare(d) {
		l.worked()
		return
	}
	job, err := l.read(d)
	if err != nil {
		l.setAside(d, err)
		l.worked()
		return
	}
	// A handler that panics, or ends its goroutine as testing's FailNow does, leaves this outcome standing.
	out := queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
	l.running.Add(1)
	defer func() {
		_ = recover()
		l.running.Add(-1)
		if out.Action == queue.Done {
			l.removeLater(d)
			return
		}
		l.settle(d, job, out)
		l.worked()
	}()
	out = l.handler(l.ctx, job)
}

func (l *lane) read(d *delivery) (queue.Job, error) {
	job, err := readJob(l.name, d.Header, d.Data)
	if err == nil && d.state != nil {
		d.state.apply(&job)
	}
	return job, err
}

// worked is called when nothing is done about a job any more.
func (l *lane) worked() {
	l.mu.Lock()
	l.working--
	l.idleSince = time.Now()
	l.stepAndUnlock()
}

// stepAndUnlock is step, after which the lane may be gone. Called with the lane locked.
func (l *lane) stepAndUnlock() {
	l.step()
	gone := l.gone()
	l.mu.Unlock()
	if gone {
		l.q.left(l)
	}
}

// gone reports whether the lane is closed and nothing of it is left. Called with the lane locked.
func (l *lane) gone() bool {
	busy := l.working > 0 || len(l.asks) > 0 || l.deleting+l.retrying > 0
	return l.stopped && !busy && !l.owned && !l.leaving && !l.serving
}

// forget drops a message that is settled, or left to whoever owns the lane next. Called with the lane locked.
func (l *lane) forget(d *delivery) {
	if l.out[d.Sequence] == d {
		delete(l.out, d.Sequence)
		l.q.worker.jobs.Add(-1)
		if l.forgotten != nil {
			l.forgotten[d.Sequence] = true
		}
	}
}

// putBack has a message that was not run, or whose outcome cannot be stored, start again after a delay.
func (l *lane) putBack(d *delivery, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out[d.Sequence] != d { // the lane was lost
		return
	}
	if l.stopped || !l.owned {
		l.forget(d)
		l.reread()
		return
	}
	d.at = time.Time{}
	if delay > 0 {
		d.at = time.Now().Add(delay)
		time.AfterFunc(delay, l.wake)
	}
	l.insert(d)
}

// dropHeld leaves what has not started to whoever owns the lane next. Called with the lane locked.
func (l *lane) dropHeld() {
	for _, d := range l.held {
		l.forget(d)
	}
	if len(l.held) > 0 {
		l.held = nil
		l.reread()
	}
}

// abandon leaves a job whose outcome is not applied to whoever reads its message next.
func (l *lane) abandon(d *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(d)
	l.reread()
}

// wake has the lane look at what it can do.
func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step()
}

// Limit implements queue.Lane.
func (l *lane) Limit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.clearWait()
	l.step()
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
		idle, held, paused := l.working == 0, l.first() >= 0, l.limit <= 0 || l.stopped
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

// Stop implements queue.Lane. It also waits until the servers know that the lane has no owner, as long as ctx lasts and
// a second at most.
func (l *lane) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	l.clearWait()
	l.dropHeld()
	l.step()
	l.mu.Unlock()
	defer l.q.removeLane(l)
	defer l.abort()
	idle := func() bool { return l.working == 0 }
	stopped := l.await(ctx, idle)
	if !stopped {
		l.abort()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), queue.StopGrace)
		defer cancel()
		if stopped = l.await(grace, idle); !stopped {
			return &queue.StillRunningError{Lane: l.name, Handlers: int(l.running.Load())}
		}
	}
	leave, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	l.await(leave, l.gone)
	return nil
}

// await waits until something is so, and reports whether that came before ctx was done.
func (l *lane) await(ctx context.Context, so func() bool) bool {
	for {
		l.mu.Lock()
		ok, changed := so(), l.change()
		l.mu.Unlock()
		if ok {
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
