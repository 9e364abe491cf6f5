package natsqueue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/event"
)

// patience is how long a test waits for what must happen, on a busy machine.
const patience = 90 * time.Second

func fact(id string) event.Event {
	return event.Must(event.GrantRevoked{Reason: "because"}, event.Meta{ID: id, Subject: "subject"})
}

func jobFor(lane, id string) queue.Job {
	return queue.Job{Event: fact(id), Lane: lane, Enqueued: time.Now()}
}

// ledger counts what was acknowledged and what ran.
type ledger struct {
	mu      sync.Mutex
	acked   map[string]bool
	runs    map[string]int
	changed chan struct{}

	running, most atomic.Int64
}

func newLedger() *ledger {
	return &ledger{acked: map[string]bool{}, runs: map[string]int{}, changed: make(chan struct{}, 1)}
}

// handler runs a job for d, counts it, and is done.
func (l *ledger) handler(d time.Duration) queue.Handler {
	return func(ctx context.Context, j queue.Job) queue.Disposition {
		now := l.running.Add(1)
		defer l.running.Add(-1)
		for most := l.most.Load(); now > most && !l.most.CompareAndSwap(most, now); most = l.most.Load() {
		}
		if d > 0 {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return queue.Disposition{Action: queue.Postpone}
			}
		}
		l.ran(j.Event.ID())
		return queue.Disposition{Action: queue.Done}
	}
}

func (l *ledger) ran(id string) {
	l.mu.Lock()
	l.runs[id]++
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// feed enqueues jobs one after another until ctx is done, through whatever happens meanwhile, and returns how many were
// acknowledged. A job that was not is enqueued again, as a host does.
func (l *ledger) feed(ctx context.Context, q *natsqueue.Queue, lane, prefix string) int {
	for n := 0; ; n++ {
		id := fmt.Sprintf("%s-%d", prefix, n)
		for {
			if ctx.Err() != nil {
				return n
			}
			if acked, ran, _ := l.count(); acked-ran > 100 { // else the test measures how long a backlog takes
				<-time.After(time.Millisecond)
				continue
			}
			if err := q.Enqueue(context.WithoutCancel(ctx), jobFor(lane, id)); err == nil {
				break
			}
		}
		l.mu.Lock()
		l.acked[id] = true
		l.mu.Unlock()
	}
}

func (l *ledger) count() (acked, ran, repeats int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.runs {
		repeats += n - 1
	}
	return len(l.acked), len(l.runs), repeats
}

// forget drops what was acknowledged: it is gone with its stream.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.acked)
}

func (l *ledger) missing() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.acked {
		if l.runs[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// await waits until n different jobs ran.
func (l *ledger) await(t *testing.T, n int) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		if _, ran, _ := l.count(); ran >= n {
			return
		}
		select {
		case <-l.changed:
		case <-timer.C:
			_, ran, _ := l.count()
			require.FailNow(t, "jobs did not run", "%d of %d ran", ran, n)
		}
	}
}

// settled waits until everything acknowledged ran, and checks how many jobs ran again.
func (l *ledger) settled(t *testing.T, atMost int) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for len(l.missing()) > 0 {
		select {
		case <-l.changed:
		case <-timer.C:
			require.Failf(t, "acknowledged jobs were lost", "%d did not run", len(l.missing()))
		}
	}
	acked, ran, repeats := l.count()
	t.Logf("%d acknowledged, %d different ones ran, %d ran again", acked, ran, repeats)
	assert.LessOrEqual(t, repeats, atMost, "more jobs ran again than were in flight")
}

// openLane opens a lane and stops it at the end of the test.
func openLane(t *testing.T, q *natsqueue.Queue, name string, limit int, h queue.Handler) queue.Lane {
	t.Helper()
	lane, err := q.Open(name, queue.LaneOptions{Limit: limit}, h)
	require.NoError(t, err)
	t.Cleanup(func() { stopLane(t, lane) })
	return lane
}

func stopLane(t *testing.T, lane queue.Lane) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	assert.NoError(t, lane.Stop(ctx))
}
