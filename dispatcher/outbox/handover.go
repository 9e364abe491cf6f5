package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// handover gives rows to the Dispatcher in their order, and removes those it took.
type handover struct {
	relay *Relay
	feed  feed
	most  int     // events of the next Dispatch
	done  []int64 // rows that were handed over and are not removed yet
}

// request is a row with what it asks for.
type request struct {
	row
	event      event.Event
	superseded bool // a later request of the same key makes it pointless
}

// rows hands all rows over, or returns why it stopped: the database fails, or ctx is done.
func (h *handover) rows(ctx context.Context, rows []row) error {
	requests, err := h.decode(ctx, rows)
	for len(requests) > 0 && err == nil {
		n := 0
		for n < len(requests) && Operation(requests[n].operation) == OperationDispatch {
			n++
		}
		if n > 0 {
			err = h.dispatch(ctx, requests[:n])
		} else {
			n, err = 1, h.schedule(ctx, requests[0])
		}
		requests = requests[n:]
	}
	if err != nil {
		return err
	}
	return h.remove(ctx)
}

// decode leaves out what cannot be decoded. Of several requests of one schedule key only the last has an effect: a
// relay that repeats them after a crash must not schedule what was cancelled, because it might be due meanwhile.
func (h *handover) decode(ctx context.Context, rows []row) ([]request, error) {
	all := make([]request, 0, len(rows))
	latest := map[string]int{} // key to index
	for _, r := range rows {
		e, err := r.decode()
		if err != nil {
			if err := h.relay.outbox.markDead(ctx, h.relay, r, e, err); err != nil {
				return nil, err
			}
			continue
		}
		if Operation(r.operation) != OperationDispatch {
			if earlier, ok := latest[r.key]; ok {
				all[earlier].superseded = true
			}
			latest[r.key] = len(all)
		}
		all = append(all, request{row: r, event: e})
	}
	return all, nil
}

// dispatch hands events over in one call, or in several when they are refused together.
func (h *handover) dispatch(ctx context.Context, requests []request) error {
	refusals := h.refusals()
	for len(requests) > 0 {
		n := min(h.most, len(requests))
		events := make([]event.Event, n)
		for i := range events {
			events[i] = requests[i].event
		}
		err := h.call(ctx, func(ctx context.Context) error { return h.relay.dispatcher.Dispatch(ctx, events...) })
		if err == nil {
			h.handedOver(requests[:n]...)
			requests, h.most = requests[n:], min(2*h.most, maxRows)
			refusals.end()
			continue
		}
		bad, known := refusedEvent(err, events)
		switch {
		case ctx.Err() != nil || errors.Is(err, errLeaseLost):
			return err
		case known || n == 1 && permanent(ctx, err):
			// Those in front of it are not known to be stored, so they come again; all this is done in order.
			if bad > 0 {
				h.most = bad
				continue
			}
			if err := h.markDead(ctx, requests[0], err); err != nil {
				return err
			}
			requests, h.most = requests[1:], maxRows
		case n > 1: // so that a batch that never fits is no reason to stop, and one event is found that is to blame
			h.most = n / 2
		default:
			if err := h.wait(ctx, &refusals, requests[0], err); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusedEvent returns the index of the event that an error is about, if it is about one.
func refusedEvent(err error, events []event.Event) (int, bool) {
	if bad, ok := errors.AsType[*dispatcher.EventError](err); ok && bad.Index >= 0 && bad.Index < len(events) {
		return bad.Index, true
	}
	if conflict, ok := errors.AsType[*dispatcher.ConflictError](err); ok {
		for i, e := range events {
			if e.ID() == conflict.EventID {
				return i, true
			}
		}
	}
	return 0, false
}

// permanent reports whether the same call can never succeed.
func permanent(ctx context.Context, err error) bool {
	_, badEvent := errors.AsType[*dispatcher.EventError](err)
	_, conflict := errors.AsType[*dispatcher.ConflictError](err)
	_, badKey := errors.AsType[*dispatcher.KeyError](err)
	return badEvent || conflict || badKey || errors.Is(err, errors.ErrUnsupported) ||
		retry.Classify(ctx, err).Verdict == retry.VerdictPermanent
}

// schedule hands over one request of Schedule or Cancel.
func (h *handover) schedule(ctx context.Context, r request) error {
	refusals := h.refusals()
	for !r.superseded {
		err := h.call(ctx, func(ctx context.Context) error {
			switch s := h.relay.scheduler; {
			case s == nil:
				return fmt.Errorf("the relay has no Scheduler: %w", errors.ErrUnsupported)
			case Operation(r.operation) == OperationSchedule:
				return s.Schedule(ctx, time.Unix(0, r.at), r.key, r.event)
			default:
				_, err := s.Cancel(ctx, r.key)
				return err
			}
		})
		switch {
		case err == nil:
			h.handedOver(r)
			return nil
		case ctx.Err() != nil || errors.Is(err, errLeaseLost):
			return err
		case permanent(ctx, err):
			return h.markDead(ctx, r, err)
		}
		if err := h.wait(ctx, &refusals, r, err); err != nil {
			return err
		}
	}
	h.handedOver(r)
	return nil
}

// call calls the Dispatcher while the lease is held. A process that was stopped for a while finds out here, before its
// context has ended, that another one relays.
func (h *handover) call(ctx context.Context, f func(context.Context) error) error {
	if h.relay.lease.left() <= 0 {
		return errLeaseLost
	}
	return f(ctx)
}

func (h *handover) refusals() failures {
	return failures{log: h.relay.log, message: "tocsin: the outbox waits, because the dispatcher refuses"}
}

// wait removes what was handed over and lets some time pass before r is tried again.
func (h *handover) wait(ctx context.Context, refusals *failures, r request, err error) error {
	delay := refusals.note(err, dispatcher.AttrEventID, r.event.ID(), dispatcher.AttrEventType, string(r.event.Type()),
		dispatcher.AttrTenant, r.event.Tenant())
	if err := h.remove(ctx); err != nil {
		return err
	}
	if !pause(ctx, delay) {
		return ctx.Err()
	}
	return nil
}

func (h *handover) handedOver(requests ...request) {
	for _, r := range requests {
		h.done = append(h.done, r.id)
	}
}

// markDead makes a dead letter of r. What is in front of it was handed over.
func (h *handover) markDead(ctx context.Context, r request, cause error) error {
	if err := h.relay.outbox.markDead(ctx, h.relay, r.row, r.event, cause); err != nil {
		return err
	}
	h.handedOver(r)
	return nil
}

// remove deletes the rows that were handed over.
func (h *handover) remove(ctx context.Context) error {
	if len(h.done) == 0 {
		return nil
	}
	err := h.feed.remove(ctx, h.relay.db, h.done)
	if err == nil {
		h.done = h.done[:0]
	}
	return err
}

// finish deletes what is left to delete when the relay ends, for whatever reason. If that fails, it is handed over
// again.
func (h *handover) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if h.remove(ctx) == nil {
		_ = h.feed.flush(ctx, h.relay.db)
	}
}
