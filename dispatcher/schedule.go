package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// ScheduleLane is the name under which scheduled events appear in a ShutdownError and in the queue.
const ScheduleLane = reservedPrefix + "schedule"

// maxScheduled bounds the schedule of a memory queue.
const maxScheduled = 100_000

// maxKeyLength is the most bytes of a schedule key.
const maxKeyLength = 255

// Schedule holds an event until the given time and then dispatches it to the routes of that moment. The key names it
// for Cancel, for example "expiring/" and the grant's id; scheduling under a key again replaces what it held. A time in
// the past is now. The event's id must be its own: if it was dispatched before, it is skipped. Like deliveries,
// scheduled events and their keys are as durable as the queue; a memory queue holds 100,000.
//
// A reminder such as grant.expiring_soon is scheduled when the grant becomes active and cancelled when it is revoked, under
// a key made from the grant's id. Neither needs to know what the other did, or in which run of the program.
func (e *Engine) Schedule(ctx context.Context, at time.Time, key string, ev event.Event) error {
	if err := check([]event.Event{ev}); err != nil {
		return err
	}
	if key == "" || len(key) > maxKeyLength {
		return &KeyError{Length: len(key)}
	}
	s, ok := e.queue.(queue.Scheduler)
	if !ok {
		return ErrUnsupported
	}
	if !e.accept.enter() {
		return ErrShutdown
	}
	defer e.accept.leave()
	if !e.started.Load() {
		e.idle.Do(e.missRun)
	}
	return s.Schedule(ctx, key, queue.Job{
		Event: ev, Route: ScheduleLane, NotBefore: at, Enqueued: e.clock.now(), Urgent: isBreakGlass(ev),
	})
}

// Cancel removes the event scheduled under key and reports whether there was one that had not been dispatched.
func (e *Engine) Cancel(ctx context.Context, key string) (bool, error) {
	s, ok := e.queue.(queue.Scheduler)
	if !ok {
		return false, ErrUnsupported
	}
	return s.Cancel(ctx, ScheduleLane, key)
}

func (e *Engine) openSchedule() error {
	if _, ok := e.queue.(queue.Scheduler); !ok {
		e.schedule = noSchedule{}
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
func (e *Engine) fire(ctx context.Context, j queue.Job) queue.Outcome {
	began := time.Now()
	err := e.fanOut(ctx, []event.Event{j.Event})
	if err == nil {
		return queue.Outcome{Action: queue.Done}
	}
	if _, conflict := errors.AsType[*ConflictError](err); conflict {
		e.log.Error("tocsin: scheduled event cannot be dispatched", AttrEventID, j.Event.ID(),
			AttrEventType, string(j.Event.Type()), AttrError, err)
		return queue.Outcome{Action: queue.Dead, Reason: err.Error()}
	}
	if j.Attempt == 0 { // once: it comes again every second
		e.log.Warn("tocsin: scheduled event waits", AttrEventID, j.Event.ID(), AttrError, err)
	}
	return queue.Outcome{Action: queue.Retry, Delay: time.Second, Began: began}
}

// noSchedule stands in when the queue cannot schedule.
type noSchedule struct{}

func (noSchedule) Limit(int)                              {}
func (noSchedule) Drain(context.Context, time.Time) error { return nil }
func (noSchedule) Stop(context.Context) error             { return nil }
