package queuetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Process lets the suite use a queue's store from child processes and kill them with -9. A child is the test binary
// itself, started with variables in its environment; so the package's TestMain begins with
//
//	func TestMain(m *testing.M) {
//		if queuetest.Child(open) { // open: func(store string) (queue.Queue, func() error, error)
//			return
//		}
//		goleak.VerifyTestMain(m)
//	}
type Process struct {
	// Store names an empty store, for example a directory or a server's URL. Child and Open get the name.
	Store func(t *testing.T) string
	// Open opens a store in this process and closes it with t.Cleanup. The child that used it may have been killed.
	Open func(t *testing.T, store string) queue.Queue
	// Shared says that several processes may have a store open at a time.
	Shared bool
	// Owned says that of processes that share a store one at a time has a lane, until it closes the lane or ends.
	Owned bool
	// Kills is how many times the suite kills a child under load, each time on a new store. 0 = 3.
	Kills int
	// InFlight is how many jobs, besides those with a handler, may run again after a kill because their outcomes were
	// on their way to the store. 0 = none.
	InFlight int
}

const (
	roleVariable  = "QUEUETEST_ROLE"
	storeVariable = "QUEUETEST_STORE"
	roleLoad      = "load"  // enqueue and work until killed
	roleKeyed     = "keyed" // the same, with a key for each enqueuer and retries
	roleShare     = "share" // work until stdin ends
	childLane     = "lane"
	childLimit    = 4
	enqueuers     = 4       // of a child under load
	childStuck    = "stuck" // the job whose handler never returns
)

// Child runs the child's part of a rule if this process is a child of the suite, and reports whether it is; TestMain
// then returns. open opens the store of that name and returns how to close it.
func Child(open func(store string) (queue.Queue, func() error, error)) bool {
	role := os.Getenv(roleVariable)
	if role == "" {
		return false
	}
	say := speaker(os.Stdout)
	q, closeQueue, err := open(os.Getenv(storeVariable))
	if err != nil {
		say("failed: open: %v", err)
		return true
	}
	switch role {
	case roleShare:
		err = share(q, say)
	case roleKeyed:
		err = loadKeyed(q, say)
	default:
		err = load(q, say)
	}
	if err == nil {
		err = closeQueue()
	}
	if err != nil {
		say("failed: %v", err)
	}
	return true
}

// speaker returns a function that writes whole lines from many goroutines.
func speaker(w io.Writer) func(format string, args ...any) {
	var mu sync.Mutex
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(w, format+"\n", args...)
	}
}

// load enqueues from several goroutines while the lane works, until somebody kills the process or a call fails.
func load(q queue.Queue, say func(string, ...any)) error {
	ctx := context.Background()
	if err := q.Enqueue(ctx, queue.Job{Event: fact(childStuck, ""), Lane: childLane, Enqueued: time.Now()}); err != nil {
		return err
	}
	say("acked %s", childStuck)
	_, err := q.Open(childLane, queue.LaneOptions{Limit: childLimit}, func(_ context.Context, j queue.Job) queue.Disposition {
		say("ran %s", j.Event.ID())
		if j.Event.ID() == childStuck {
			select {}
		}
		return queue.Disposition{Action: queue.Done}
	})
	if err != nil {
		return err
	}
	return enqueueForEver(q, say, func(int) string { return "" })
}

// loadKeyed is load with an order key for each enqueuer, and handlers that fail now and then.
func loadKeyed(q queue.Queue, say func(string, ...any)) error {
	_, err := q.Open(childLane, queue.LaneOptions{Limit: childLimit}, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Attempt == 0 && strings.HasSuffix(j.Event.ID(), "3") {
			return queue.Disposition{Action: queue.Retry, Delay: time.Millisecond, Began: time.Now()}
		}
		say("ran %s", j.Event.ID())
		return queue.Disposition{Action: queue.Done}
	})
	if err != nil {
		return err
	}
	return enqueueForEver(q, say, func(e int) string { return fmt.Sprint(e) })
}

// enqueueForEver enqueues from several goroutines until a call fails.
func enqueueForEver(q queue.Queue, say func(string, ...any), key func(enqueuer int) string) error {
	failed := make(chan error)
	for e := range enqueuers {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("e%d-%d", e, n)
				j := queue.Job{Event: fact(id, ""), Lane: childLane, OrderKey: key(e), Enqueued: time.Now()}
				if err := q.Enqueue(context.Background(), j); err != nil {
					failed <- err
					return
				}
				say("acked %s", id)
			}
		}()
	}
	return <-failed
}

// share works until its stdin ends.
func share(q queue.Queue, say func(string, ...any)) error {
	l, err := q.Open(childLane, queue.LaneOptions{Limit: 2}, func(_ context.Context, j queue.Job) queue.Disposition {
		say("ran %s", j.Event.ID())
		<-time.After(time.Millisecond) // leave some for the other process
		return queue.Disposition{Action: queue.Done}
	})
	if err != nil {
		return err
	}
	say("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return l.Stop(context.Background())
}

// child is a running child process.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string // closed when it has ended
	noted sync.WaitGroup
}

// start starts the test binary as a child on a store.
func (p *probe) start(role, store string) *child {
	p.tb.Helper()
	self, err := os.Executable()
	p.must("os.Executable", err)
	c := &child{cmd: exec.CommandContext(p.ctx, self), lines: make(chan string)}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role, storeVariable+"="+store)
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	p.must("child's stdin", err)
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	p.must("child's stdout", err)
	p.must("start of a child", c.cmd.Start())
	c.noted.Go(func() {
		defer close(c.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			select {
			case c.lines <- s.Text():
			case <-p.over:
			}
		}
	})
	return c
}

// read gives each line to f until f is content or the child has ended; it reports whether f was.
func (p *probe) read(c *child, f func(verb, id string) bool) bool {
	p.tb.Helper()
	timer := time.NewTimer(p.s.Timeout)
	defer timer.Stop()
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				return false
			}
			if strings.HasPrefix(line, "failed: ") {
				p.fail("child process %s", line)
			}
			verb, id, _ := strings.Cut(line, " ")
			if f(verb, id) {
				return true
			}
		case <-timer.C:
			p.fail("the child process did not go on within %v", p.s.Timeout)
		}
	}
}

// kill ends the child with -9 wherever it is and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	for range c.lines {
	}
	c.noted.Wait()
	_ = c.cmd.Wait()
}

func killRule(p *probe) {
	kills := p.s.Process.Kills
	if kills <= 0 {
		kills = 3
	}
	for n := range kills {
		p.killOnce(50 + 137*n%400)
	}
}

// killOnce kills a child once it has acknowledged a number of jobs, and looks for them in its store.
func (p *probe) killOnce(after int) {
	p.tb.Helper()
	store := p.s.Process.Store(p.t)
	c := p.start(roleLoad, store)
	defer c.kill()
	acked, ran := map[string]bool{}, map[string]bool{}
	listen := func(verb, id string) bool {
		switch verb {
		case "acked":
			acked[id] = true
		case "ran":
			ran[id] = true
		}
		return len(acked) >= after && ran[childStuck]
	}
	if !p.read(c, listen) {
		p.fail("the child process ended by itself")
	}
	_ = c.cmd.Process.Kill()
	p.read(c, func(verb, id string) bool { listen(verb, id); return false }) // what it had said by then
	c.kill()

	p.q = p.s.Process.Open(p.t, store)
	t := newTally()
	l := p.openWith(childLane, queue.LaneOptions{Limit: childLimit}, t.done)
	lost := func() (ids []string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for id := range acked {
			if t.runs[queue.Job{Event: fact(id, ""), Lane: childLane}.ID()] == 0 && (!ran[id] || id == childStuck) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	timer := time.NewTimer(p.s.Timeout)
	defer timer.Stop()
	for len(lost()) > 0 {
		select {
		case <-t.changed:
		case <-timer.C:
			ids := lost()
			p.fail("of %d acknowledged jobs %d did not run after kill -9, such as %s", len(acked), len(ids), ids[0])
		}
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.s.Timeout)
	defer cancel()
	p.must("Drain", l.q.Drain(ctx, time.Time{}))
	l.stop()
	t.once(p)
	repeats := 0
	for _, id := range t.order {
		if ran[id] {
			repeats++
		}
	}
	if bound := childLimit + p.s.Process.InFlight; repeats > bound {
		p.fail("after kill -9 %d jobs ran again; at most %d were in flight", repeats, bound)
	}
}

// keyedKillRule looks at one kill: what runs afterwards goes on, for each key, where the child had come to, or one job
// before that whose outcome was not stored.
func keyedKillRule(p *probe) {
	store := p.s.Process.Store(p.t)
	c := p.start(roleKeyed, store)
	defer c.kill()
	var acked, ran []string
	listen := func(verb, id string) bool {
		switch verb {
		case "acked":
			acked = append(acked, id)
		case "ran":
			ran = append(ran, id)
		}
		return len(acked) >= 200 && len(ran) >= 50
	}
	if !p.read(c, listen) {
		p.fail("the child process ended by itself")
	}
	_ = c.cmd.Process.Kill()
	p.read(c, func(verb, id string) bool { listen(verb, id); return false })
	c.kill()

	p.q = p.s.Process.Open(p.t, store)
	t := newTally()
	l := p.openWith(childLane, queue.LaneOptions{Limit: childLimit}, t.done)
	ctx, cancel := context.WithTimeout(p.ctx, p.s.Timeout)
	defer cancel()
	p.must("Drain", l.q.Drain(ctx, time.Time{}))
	l.stop()
	latest := make([]int, enqueuers) // number of each enqueuer's job that ran last, from 1
	for n, id := range append(ran, t.order...) {
		var e, number int
		if _, err := fmt.Sscanf(id, "e%d-%d", &e, &number); err != nil {
			p.fail("an unknown job ran after kill -9: %s", id)
		}
		again := n >= len(ran) && number+1 == latest[e]
		if !again && number != latest[e] {
			p.fail("job %s ran after job %d of its key: the order did not outlast kill -9", id, latest[e]-1)
		}
		latest[e] = number + 1
	}
	for _, id := range acked {
		var e, number int
		_, _ = fmt.Sscanf(id, "e%d-%d", &e, &number)
		if number >= latest[e] {
			p.fail("acknowledged job %s did not run after kill -9", id)
		}
	}
}

// ownerRule opens a store here and sees what a child can do with it.
func ownerRule(p *probe) {
	store := p.s.Process.Store(p.t)
	p.q = p.s.Process.Open(p.t, store)
	c := p.start(roleShare, store)
	defer c.kill()
	timer := time.NewTimer(p.s.Timeout)
	defer timer.Stop()
	select {
	case line := <-c.lines:
		if !strings.HasPrefix(line, "failed: open: ") {
			p.fail("a second process could open the store: it says %q", line)
		}
	case <-timer.C:
		p.fail("a second process neither opened the store nor was refused within %v", p.s.Timeout)
	}
	p.enqueue(p.job("a"))
	p.open("a", 1).expect("e1").done()
}

func sharedRule(p *probe) {
	const jobs = 300
	store := p.s.Process.Store(p.t)
	p.q = p.s.Process.Open(p.t, store)
	c := p.start(roleShare, store)
	defer c.kill()
	if !p.read(c, func(verb, _ string) bool { return verb == "ready" }) {
		p.fail("the child process ended by itself")
	}
	t, theirs := newTally(), map[string]int{}
	all := p.jobs(childLane, jobs)
	rest := all
	if p.s.Process.Owned { // the lane is the child's, which leaves in the middle
		p.enqueue(all[0])
		rest = all[1:]
		if !p.read(c, func(_, id string) bool { theirs[id]++; return true }) {
			p.fail("the child process ended by itself")
		}
	}
	l := p.openWith(childLane, queue.LaneOptions{Limit: 2}, func(ctx context.Context, j queue.Job) queue.Disposition {
		<-time.After(time.Millisecond)
		return t.done(ctx, j)
	})
	for _, j := range rest {
		p.enqueue(j)
	}
	if p.s.Process.Owned {
		_ = c.stdin.Close()
	}
	lines := c.lines
	timer := time.NewTimer(p.s.Timeout)
	defer timer.Stop()
	for len(theirs)+t.distinct() < jobs {
		select {
		case line, ok := <-lines:
			if strings.HasPrefix(line, "failed: ") || !ok && !p.s.Process.Owned {
				p.fail("the child process ended or failed: %s", line)
			}
			if !ok {
				lines = nil
				continue
			}
			theirs[strings.TrimPrefix(line, "ran ")]++
		case <-t.changed:
		case <-timer.C:
			p.fail("%d of %d jobs ran here and %d in the other process, within %v", t.distinct(), jobs, len(theirs), p.s.Timeout)
		}
	}
	_ = c.stdin.Close()
	p.read(c, func(_, id string) bool { theirs[id]++; return false })
	l.stop()
	t.once(p)
	for _, j := range all {
		here, there := t.runs[j.ID()], theirs[j.Event.ID()]
		if here+there != 1 {
			p.fail("job %s ran %d times here and %d times in the other process", j.ID(), here, there)
		}
	}
	if len(theirs) == 0 || len(theirs) == jobs {
		p.fail("the other process ran %d of %d jobs: the work is not shared", len(theirs), jobs)
	}
}
