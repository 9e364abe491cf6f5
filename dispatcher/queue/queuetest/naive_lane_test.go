//go:build unix

package queuetest

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// naiveLane is a lane of naive; the queue's lock guards it.
type naiveLane struct {
	naive   *naive
	name    string
	open    bool
	opened  bool // before
	limit   int
	running int
	handler queue.Handler
	admit   func() time.Duration
	asked   bool
	held    time.Time
	bound   queue.Bound
	ctx     context.Context
	cancel  context.CancelFunc
	timer   *time.Timer
	changed chan struct{}
}

// broadcast wakes all that wait for the lane.
func (l *naiveLane) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *naiveLane) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// pump starts what can start and sets the timer for the rest.
func (l *naiveLane) pump() {
	n := l.naive
	l.stopTimer()
	if !l.open {
		return
	}
	next := l.scan()
	if next.IsZero() || n.is("never wakes up") {
		return
	}
	wait := time.Until(next)
	if n.is("starts late") {
		wait += 15 * time.Millisecond
	}
	l.timer = time.AfterFunc(wait, func() { n.locked(l.pump) })
}

// scan starts jobs and returns when to look again; zero = when something happens.
func (l *naiveLane) scan() (next time.Time) {
	n := l.naive
	busy := map[string]bool{}
	later := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	jobs := append([]*naiveJob(nil), n.jobs...)
	if !n.is("nothing is urgent") {
		slices.SortStableFunc(jobs, func(a, b *naiveJob) int { return b.haste(n) - a.haste(n) })
	}
	for _, j := range jobs {
		if j.Lane != l.name {
			if n.is("one line for all lanes") && !j.running && !j.NotBefore.After(time.Now()) {
				break
			}
			continue
		}
		key := j.OrderKey
		if n.is("one key for all") {
			key = "all"
		}
		due := j.NotBefore
		if n.is("starts early") {
			due = due.Add(-5 * time.Millisecond)
		}
		wait := due.After(time.Now()) && (j.Attempt == 0 || !n.is("ignores delays"))
		held := key != "" && busy[key] || j.claimed != 0
		if n.is("followers overtake") && wait {
			key = ""
		}
		if key != "" && !n.is("ignores keys") {
			busy[key] = true
		}
		if j.running || held {
			continue
		}
		if wait {
			later(due)
			continue
		}
		if !l.start(j, later) {
			break
		}
	}
	if n.journal != nil && n.journal.shared {
		later(time.Now().Add(2 * time.Millisecond))
	}
	return next
}

// haste is 1 for a job that goes before the others.
func (j *naiveJob) haste(n *naive) int {
	if j.Urgent && (j.OrderKey == "" || n.is("keys are no matter to the urgent")) {
		return 1
	}
	return 0
}

// start starts j unless the lane is busy or held, and reports whether it did.
func (l *naiveLane) start(j *naiveJob, later func(time.Time)) bool {
	n := l.naive
	limit := l.limit
	switch {
	case n.is("one too many") && limit > 0:
		limit++
	case n.is("pauses not"):
		limit = max(limit, 1)
	}
	running := l.running
	if n.is("one pool for all") {
		running, limit = 0, 8
		for _, other := range n.lanes {
			running += other.running
		}
	}
	if running >= limit {
		return false
	}
	if l.held.After(time.Now()) {
		later(l.held)
		return false
	}
	if l.admit != nil && !n.is("asks nobody") && (!l.asked || !n.is("asks once")) {
		l.asked = true
		if wait := l.admit(); wait > 0 {
			l.held = time.Now().Add(min(wait, 1000*time.Hour))
			later(l.held)
			return false
		}
	}
	j.running = true
	l.running++
	if n.journal != nil && n.journal.shared && !n.is("claims for itself only") {
		n.journal.claim(j)
	}
	go l.run(l.ctx, j, j.Job, l.handler)
	if n.is("a lease ends") {
		time.AfterFunc(75*time.Millisecond, func() { n.locked(func() { j.running = false; l.pump() }) })
	}
	return true
}

func (l *naiveLane) run(ctx context.Context, j *naiveJob, job queue.Job, h queue.Handler) {
	n := l.naive
	out := queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
	returned := false
	defer func() {
		if !returned && n.is("loses what crashes") {
			_ = recover()
			return
		}
		if recover() != nil && n.is("drops what panics") {
			out.Action = queue.Done
		}
		n.locked(func() { l.settle(j, out) })
	}()
	out = h(ctx, job)
	returned = true
}

func (l *naiveLane) settle(j *naiveJob, out queue.Disposition) {
	n := l.naive
	l.running--
	j.running, j.claimed = false, 0
	counted := out.Action == queue.Retry || out.Action == queue.Dead && !out.Began.IsZero() ||
		out.Action == queue.Postpone && n.is("counts everything")
	if counted && !n.is("counts nothing") {
		j.Attempt++
		if j.FirstTried.IsZero() || n.is("the last try is the first") {
			j.FirstTried = out.Began
		}
	}
	switch {
	case out.Action == queue.Retry, out.Action == queue.Postpone, out.Action == queue.Done && n.is("keeps what is done"):
		if out.Action == queue.Retry || n.is("postponed is started") {
			j.key = ""
		}
		if j.key != "" && n.replaced(j) {
			n.remove(j)
			break
		}
		j.NotBefore = time.Time{}
		if out.Delay > 0 {
			j.NotBefore = time.Now().Add(out.Delay)
		}
		n.write(j)
	case out.Action == queue.Dead:
		n.markDead(j, out.Reason)
		n.remove(j)
	default:
		n.remove(j)
	}
	l.pump()
	l.broadcast()
}

func (l *naiveLane) Limit(limit int) {
	l.naive.locked(func() {
		if !l.naive.is("the first limit stays") {
			l.limit = limit
		}
		if !l.naive.is("Limit does not ask") {
			l.held = time.Time{}
		}
		l.pump()
		l.broadcast()
	})
}

// await waits until ok, which is asked with the queue locked.
func (l *naiveLane) await(ctx context.Context, ok func() bool) error {
	for {
		var changed chan struct{}
		var yes bool
		l.naive.locked(func() { changed, yes = l.changed, ok() })
		if yes {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *naiveLane) Drain(ctx context.Context, until time.Time) error {
	n := l.naive
	if n.is("drains in words only") {
		return nil
	}
	if n.is("drains beyond ctx") {
		ctx = context.WithoutCancel(ctx)
	}
	changed := 0
	return l.await(ctx, func() bool {
		changed++
		if n.is("drain looks once") && changed > 1 && l.admit != nil {
			return false
		}
		if l.running > 0 {
			return false
		}
		if l.limit <= 0 || !l.open {
			return true
		}
		busy := map[string]bool{}
		for _, j := range n.waiting(l.name) {
			due := !j.NotBefore.After(time.Now()) || j.NotBefore.Before(until) && !n.is("drains until now")
			if (due || n.is("drains what is later")) && !busy[j.OrderKey] {
				return false
			}
			busy[j.OrderKey] = j.OrderKey != ""
		}
		return true
	})
}

func (l *naiveLane) Stop(ctx context.Context) error {
	n := l.naive
	cancel := l.cancel
	n.locked(func() {
		l.open = n.is("starts after Stop")
		l.stopTimer()
		l.broadcast()
	})
	defer cancel()
	idle := func() bool { return l.running == 0 }
	if n.is("Stop does not wait") {
		return nil
	}
	if n.is("Stop cancels at once") {
		cancel()
	}
	if l.await(ctx, idle) == nil {
		return nil
	}
	if !n.is("Stop never cancels") {
		cancel()
	}
	grace, end := context.WithTimeout(context.Background(), queue.StopGrace)
	defer end()
	if l.await(grace, idle) == nil {
		return nil
	}
	if n.is("silent about handlers that still run") {
		return nil
	}
	running := 0
	n.locked(func() { running = l.running })
	return &queue.StillRunningError{Lane: l.name, Handlers: running}
}

// rewritten is e after a store that decodes and encodes its data.
func rewritten(e event.Event) event.Event {
	var form, data map[string]any
	if json.Unmarshal(e.JSON(), &form) != nil || json.Unmarshal(e.Data(), &data) != nil {
		return e
	}
	b, _ := json.Marshal(data)
	out, err := event.Parse([]byte(string(e.JSON()[:len(e.JSON())-len(e.Data())-1]) + string(b) + "}"))
	if err != nil {
		return e
	}
	return out
}
