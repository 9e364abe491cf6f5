package dispatcher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// ScheduleLane is the name under which scheduled events appear in a ShutdownError and in the queue.
const ScheduleLane = reservedPrefix + "schedule"

// maxScheduled bounds the schedule of a memory queue.
const maxScheduled = 100_000

// Schedule implements Scheduler. Like deliveries, scheduled events and their keys are as durable as the queue; a memory
// queue holds 100,000. errors.ErrUnsupported if the queue cannot schedule, likewise for Cancel.
func (e *Engine) Schedule(ctx context.Context, at time.Time, key string, ev event.Event) error {
	if err := ValidateEvents(ev); err != nil {
		return err
	}
	if err := ValidateKey(key); err != nil {
		return err
	}
	if !e.calls.enter() {
		return ErrShutdown
	}
	defer e.calls.leave()
	e.expectRun()
	return e.queue.Schedule(ctx, key, queue.Job{
		Event: ev, Lane: ScheduleLane, NotBefore: at, Enqueued: e.clock.now(), Urgent: isBreakGlass(ev),
	})
}

// Cancel implements Scheduler.
func (e *Engine) Cancel(ctx context.Context, key string) (bool, error) {
	return e.queue.Cancel(ctx, ScheduleLane, key)
}

func (e *Engine) openSchedule() error {
	if !e.queue.Properties().Scheduling {
		return nil
	}
	lane, err := e.queue.Open(ScheduleLane, queue.LaneOptions{Limit: 1}, e.fire)
	if err != nil {
		return err
	}
	e.schedule = lane
	return nil
}

// fire dispatches a scheduled event whose time has come. A lane without room makes it come again: the others skip it.
// As long as no lane has it, it is postponed and not tried, so that Cancel finds it.
func (e *Engine) fire(ctx context.Context, j queue.Job) queue.Disposition {
	began := time.Now()
	err := e.fanOut(ctx, []event.Event{j.Event})
	if err == nil {
		e.lateEvents.remove(j.Event.ID())
		return queue.Disposition{Action: queue.Done}
	}
	if _, conflict := errors.AsType[*ConflictError](err); conflict {
		e.log.Error("tocsin: scheduled event cannot be dispatched", AttrEventID, j.Event.ID(),
			AttrEventType, string(j.Event.Type()), AttrError, err)
		return queue.Disposition{Action: queue.Dead, Reason: err.Error()}
	}
	if e.lateEvents.note(j.Event.ID()) { // once: it comes again every second
		e.log.Warn("tocsin: scheduled event waits", AttrEventID, j.Event.ID(), AttrError, err)
	}
	routes := e.table.Load().wanting(j.Event.WithSource(e.source))
	if full, ok := errors.AsType[*BacklogError](err); ok && len(full.Lanes) < len(routes) { // some lane has it
		return queue.Disposition{Action: queue.Retry, Delay: time.Second, Began: began}
	}
	return queue.Disposition{Action: queue.Postpone, Delay: time.Second}
}

// lateEvents are the scheduled events that wait for room, as far as that was logged.
type lateEvents struct {
	mu  sync.Mutex
	ids map[string]bool
}

// mostLateEvents is how many are known: of those that are cancelled while they wait, nobody is notified.
const mostLateEvents = 1000

// note reports whether an event is new.
func (l *lateEvents) note(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids[id] {
		return false
	}
	if l.ids == nil || len(l.ids) >= mostLateEvents {
		l.ids = map[string]bool{}
	}
	l.ids[id] = true
	return true
}

func (l *lateEvents) remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ids, id)
}
