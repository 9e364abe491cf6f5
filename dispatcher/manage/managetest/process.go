package managetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// Process lets the suite use a store from child processes and kill them with -9. A child is the test binary itself,
// started with variables in its environment; so the package's TestMain begins with
//
//	func TestMain(m *testing.M) {
//		if managetest.Child(open) { // open: func(store string) (manage.Documents, func() error, error)
//			return
//		}
//		goleak.VerifyTestMain(m)
//	}
type Process struct {
	// Store names an empty store, for example a directory or a server's URL. Child and Open get the name.
	Store func(t *testing.T) string
	// Open opens a store in this process and closes it with t.Cleanup. The child that used it may have been killed.
	Open func(t *testing.T, store string) manage.Documents
	// Shared says that several processes may have a store open at a time.
	Shared bool
	// Kills is how many times the suite kills a child under load, each time on a new store. 0 = 3.
	Kills int
}

const (
	roleVariable  = "MANAGETEST_ROLE"
	storeVariable = "MANAGETEST_STORE"
	roleLoad      = "load"  // put until killed
	roleShare     = "share" // count up, and end
	childEditors  = 4       // tenants of a child under load
	shared        = "shared"
	sharedEdits   = 40 // of each process
)

// Child runs the child's part of a rule if this process is a child of the suite, and reports whether it is; TestMain
// then returns. open opens the store of that name and returns how to close it.
func Child(open func(store string) (manage.Documents, func() error, error)) bool {
	role := os.Getenv(roleVariable)
	if role == "" {
		return false
	}
	say := speaker(os.Stdout)
	d, closeStore, err := open(os.Getenv(storeVariable))
	if err != nil {
		say("failed: open: %v", err)
		return true
	}
	if role == roleShare {
		say("ready")
		for n := 0; n < sharedEdits && err == nil; n++ {
			err = countUp(context.Background(), d, shared, func() {})
		}
	} else {
		err = load(d, say)
	}
	if err == nil {
		err = closeStore()
	}
	if err != nil {
		say("failed: %v", err)
		return true
	}
	say("over")
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

// loadContent is a document that shows whether it is whole: its number, over and over.
func loadContent(n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08d\x00", n), 2000+n%7*1000)
}

// loadNumber is the number of a document of loadContent.
func loadNumber(content []byte) (n int, whole bool) {
	if len(content) < 8 {
		return 0, false
	}
	_, err := fmt.Sscanf(string(content[:8]), "%d", &n)
	return n, err == nil && bytes.Equal(content, loadContent(n))
}

// load replaces documents until somebody kills the process or a call fails.
func load(d manage.Documents, say func(string, ...any)) error {
	failed := make(chan error)
	for e := range childEditors {
		go func() {
			tenant, latest := fmt.Sprint("t", e), manage.Revision(0)
			for n := 1; ; n++ {
				say("try %s %d", tenant, n)
				r, err := d.Put(context.Background(), tenant, manage.Record{Content: loadContent(n)}, latest)
				if err != nil {
					failed <- err
					return
				}
				latest = r
				say("acked %s %d", tenant, n)
			}
		}()
	}
	return <-failed
}

// child is a running child process.
type child struct {
	cmd   *exec.Cmd
	lines chan string // closed when it has ended
	noted sync.WaitGroup
}

// start starts the test binary as a child on a store.
func (p *probe) start(role, store string) *child {
	p.tb.Helper()
	self, err := os.Executable()
	p.must("os.Executable", err)
	c := &child{cmd: exec.CommandContext(p.ctx, self), lines: make(chan string, 1<<16)}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role, storeVariable+"="+store)
	c.cmd.Stderr = os.Stderr
	stdout, err := c.cmd.StdoutPipe()
	p.must("child's stdout", err)
	p.must("start of a child", c.cmd.Start())
	c.noted.Go(func() {
		defer close(c.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			c.lines <- s.Text()
		}
	})
	return c
}

// read gives each line to f until f is content or the child has ended; it reports whether f was.
func (p *probe) read(c *child, f func(line string) bool) bool {
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
			if f(line) {
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
		p.killOnce(10 + 37*n%150)
	}
}

// killOnce kills a child once it has acknowledged a number of edits, and looks at its store.
func (p *probe) killOnce(after int) {
	p.tb.Helper()
	store := p.s.Process.Store(p.t)
	c := p.start(roleLoad, store)
	defer c.kill()
	tried, acked, count := map[string]int{}, map[string]int{}, 0
	listen := func(line string) bool {
		var verb, tenant string
		var n int
		if _, err := fmt.Sscan(line, &verb, &tenant, &n); err != nil {
			return false // half a line
		}
		if verb == "acked" {
			acked[tenant] = n
			count++
		} else {
			tried[tenant] = n
		}
		return count >= after
	}
	if !p.read(c, listen) {
		p.fail("the child process ended by itself")
	}
	<-time.After(time.Duration(1+after%7) * time.Millisecond) // a moment of an edit, not always that of its end
	_ = c.cmd.Process.Kill()
	p.read(c, func(line string) bool { listen(line); return false }) // what it had said by then
	c.kill()

	p.made = p.s.Process.Open(p.t, store)
	listed := map[string]manage.Revision{}
	for _, h := range p.walk(100) {
		listed[h.Tenant] = h.Revision
	}
	for tenant, most := range tried {
		ctx, cancel := p.bounded()
		r, err := p.made.Get(ctx, tenant)
		cancel()
		if errors.Is(err, manage.ErrNotFound) && acked[tenant] == 0 {
			continue
		}
		p.must(fmt.Sprintf("Get of tenant %q after kill -9", tenant), err)
		n, whole := loadNumber(r.Content)
		if !whole {
			p.fail("after kill -9 the document of %q is neither the old nor the new one: %s", tenant, short(r.Content))
		}
		if n < acked[tenant] || n > most {
			p.fail("after kill -9 the document of %q is number %d; %d was acknowledged, and %d the last one tried", tenant, n, acked[tenant], most)
		}
		if r.Revision < listed[tenant] || listed[tenant] == 0 {
			p.fail("after kill -9 the document of %q has revision %d, and List said %d", tenant, r.Revision, listed[tenant])
		}
		p.put(tenant, "afterwards", r.Revision)
	}
}

func processesRule(p *probe) {
	store := p.s.Process.Store(p.t)
	p.made = p.s.Process.Open(p.t, store)
	r := p.put(shared, "0", 0)
	w := p.watch(p.made)
	c := p.start(roleShare, store)
	defer c.kill()
	if !p.s.Process.Shared {
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
		p.put(shared, "1", r)
		w.end()
		return
	}
	if !p.read(c, func(line string) bool { return line == "ready" }) {
		p.fail("the child process ended by itself")
	}
	ctx, cancel := p.bounded()
	defer cancel()
	for range sharedEdits {
		p.must("an edit beside another process", countUp(ctx, p.made, shared, func() {}))
	}
	if !p.read(c, func(line string) bool { return line == "over" }) {
		p.fail("the child process ended by itself")
	}
	last := p.get(shared)
	if want := fmt.Sprint(2 * sharedEdits); string(last.Content) != want {
		p.fail("two processes made %s edits, and the document counts %s", want, short(last.Content))
	}
	w.reach("the last edit, of whichever process", map[string]manage.Revision{shared: last.Revision})
	w.end()
}
