package sqlitequeue

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// run is what a lane's handler is to the queue in memory, which has called a ticket: it runs the job whose turn it is,
// and stores the outcome.
func (l *lane) run(ctx context.Context, ticket int64, h queue.Handler) queue.Disposition {
	r := l.take(ticket)
	if r == nil { // cancelled or purged when it was about to start
		return queue.Disposition{Action: queue.Done}
	}
	returned := false
	defer func() {
		if !returned { // the handler has ended its goroutine, as testing's FailNow does
			if l.store(ctx, r, panicOutcome()) == nil {
				l.rest(r) // the queue in memory calls the ticket again, for nothing
			} else {
				l.keep(r, true)
			}
		}
	}()
	r.follow(l.queue.openedAt, l.queue.clock.seen())
	j, err := r.job(l.name)
	if r.name != "" {
		ctx = context.WithValue(ctx, scheduledJob{}, &startedJob{l, r})
	}
	var out queue.Disposition
	if err != nil {
		out = queue.Disposition{Action: queue.Dead, Reason: "the stored event cannot be read: " + err.Error()}
	} else {
		out = call(ctx, h, j)
	}
	returned = true
	return l.settle(ctx, r, out)
}

// call contains a handler's panic.
func call(ctx context.Context, h queue.Handler, j queue.Job) (out queue.Disposition) {
	defer func() {
		if recover() != nil {
			out = panicOutcome()
		}
	}()
	return h(ctx, j)
}

// panicOutcome is the outcome of a handler that did not return.
func panicOutcome() queue.Disposition {
	return queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: time.Now()}
}

// settle stores an outcome and says what the queue in memory has to do: keep the job for another turn, or forget it.
func (l *lane) settle(ctx context.Context, r *row, out queue.Disposition) queue.Disposition {
	again := queue.Disposition{Action: queue.Postpone}
	if out.Action == queue.Postpone && out.Delay <= 0 { // changes nothing
		r.started = false
		l.keep(r, true)
		return again
	}
	if l.store(ctx, r, out) != nil { // an outcome that was not applied does not count
		l.keep(r, true)
		return again
	}
	if out.Action != queue.Retry && out.Action != queue.Postpone {
		return queue.Disposition{Action: queue.Done}
	}
	if r.due == 0 {
		l.keep(r, out.Action == queue.Postpone)
		return queue.Disposition{Action: out.Action}
	}
	l.rest(r)
	return queue.Disposition{Action: queue.Done}
}

// Pauses between attempts to store an outcome while the file cannot be written.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// store makes an outcome durable, however often it takes: the job's place stays taken meanwhile, so that no more jobs
// start than could be repeated. It gives up when the lane no longer waits or the queue is closed.
func (l *lane) store(ctx context.Context, r *row, out queue.Disposition) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := l.queue.writer.write(context.Background(), "store an outcome", func(t *tx) error { return t.settle(l, r, out) })
		if err == nil || isClosed(err) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
