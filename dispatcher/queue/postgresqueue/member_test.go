package postgresqueue

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// memberVariable makes the test binary a member of a cluster: a process that dispatches and delivers until it is told
// to end, or killed. It says on standard output what it does.
const memberVariable = "POSTGRESQUEUE_MEMBER"

// memberConfig is the variable's value.
type memberConfig struct {
	Name, URL, Schema string
	Lanes             int
	Lease             time.Duration
	Pause             time.Duration // between two events of an enqueuer
	Handler           time.Duration // how long a handler takes
	Ahead             time.Duration // by which its clock is wrong
}

const (
	memberEnqueuers = 2
	memberLimit     = 2
)

func memberLane(n int) string { return fmt.Sprintf("lane-%d", n) }

// runMember reports whether this process is a member.
func runMember() bool {
	text := os.Getenv(memberVariable)
	if text == "" {
		return false
	}
	var c memberConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		_, _ = fmt.Fprintln(os.Stdout, "failed", err)
		return true
	}
	m := &member{memberConfig: c, out: bufio.NewWriterSize(os.Stdout, 1)}
	if err := m.run(); err != nil {
		m.say("failed %v", err)
	}
	return true
}

type member struct {
	memberConfig
	queue *Queue
	mu    sync.Mutex
	out   *bufio.Writer
	over  atomic.Bool
}

func (m *member) say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

func (m *member) run() error {
	config, err := pgxpool.ParseConfig(m.URL)
	if err != nil {
		return err
	}
	config.MaxConns = 5
	base := time.Now()
	m.queue, err = Open(context.Background(), config, Options{
		Schema: m.Schema, Lease: m.Lease, Timeout: 2 * time.Second, NoMigration: true,
		elapsed: func() int64 { return int64(time.Since(base) + m.Ahead) },
	})
	if err != nil {
		return err
	}
	var lanes []queue.Lane
	for n := range m.Lanes {
		l, err := m.queue.Open(memberLane(n), queue.LaneOptions{Limit: memberLimit}, m.handle)
		if err != nil {
			return err
		}
		lanes = append(lanes, l)
	}
	m.say("ready")
	var enqueuers sync.WaitGroup
	for e := range memberEnqueuers {
		enqueuers.Go(func() { m.enqueue(e) })
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "enough":
			m.over.Store(true)
			enqueuers.Wait()
			m.say("enough")
		case "leave":
			m.over.Store(true)
			enqueuers.Wait()
			var stops sync.WaitGroup
			for _, l := range lanes {
				stops.Go(func() { _ = l.Stop(context.Background()) })
			}
			stops.Wait()
			if err := m.queue.Close(); err != nil {
				return err
			}
			m.say("left")
			return nil
		}
	}
	return nil
}

// handle says what runs, and fails now and then.
func (m *member) handle(ctx context.Context, j queue.Job) queue.Disposition {
	m.say("run %d %s %s %d %s", time.Now().UnixNano(), j.Lane, j.Event.ID(), j.Attempt, j.OrderKey)
	select {
	case <-time.After(m.Handler):
	case <-ctx.Done():
		m.say("cancelled %s", j.Event.ID())
		return queue.Disposition{Action: queue.Postpone}
	}
	if id := j.Event.ID(); j.Attempt == 0 && id[len(id)-1] == '7' {
		return queue.Disposition{Action: queue.Retry, Delay: 20 * time.Millisecond, Began: time.Now()}
	}
	return queue.Disposition{Action: queue.Done}
}

// enqueue stores events, each for two lanes of which one keeps the order, and schedules and cancels some.
func (m *member) enqueue(e int) {
	ctx := context.Background()
	key := fmt.Sprintf("%s-%d", m.Name, e)
	for n := 0; !m.over.Load(); n++ {
		id := fmt.Sprintf("%s-%d", key, n)
		ev := event.Must(event.GrantRevoked{Reason: "because"}, event.Meta{ID: id})
		jobs := []queue.Job{
			{Event: ev, Lane: memberLane(n % m.Lanes), OrderKey: key, Enqueued: time.Now()},
			{Event: ev, Lane: memberLane((n + 1) % m.Lanes), Enqueued: time.Now()},
		}
		m.untilStored(func() error { return m.queue.Enqueue(ctx, jobs...) })
		m.say("acked %s %s %s", id, jobs[0].Lane, jobs[1].Lane)
		if n%20 == 19 {
			m.schedule(ctx, key, n)
		}
		<-time.After(m.Pause)
	}
}

// schedule stores a scheduled event, and cancels every other one.
func (m *member) schedule(ctx context.Context, key string, n int) {
	id := fmt.Sprintf("%s-s%d", key, n)
	j := queue.Job{
		Event: event.Must(event.GrantRevoked{Reason: "later"}, event.Meta{ID: id}), Lane: memberLane(n % m.Lanes),
		NotBefore: time.Now().Add(300 * time.Millisecond),
	}
	m.untilStored(func() error { return m.queue.Schedule(ctx, id, j) })
	m.say("acked %s %s", id, j.Lane)
	if n%40 == 19 {
		return
	}
	m.say("unsure %s", id)
	found, err := m.queue.Cancel(ctx, j.Lane, id)
	switch {
	case err != nil: // it may have been removed
		m.say("refused %v", err)
	case found:
		m.say("removed %s", id)
	default:
		m.say("kept %s", id)
	}
}

func (m *member) untilStored(f func() error) {
	for err := f(); err != nil; err = f() {
		m.say("refused %v", err)
		<-time.After(20 * time.Millisecond)
	}
}
