package health

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

const (
	maxOutbox   = 1000             // events that wait to be dispatched
	outboxPause = 10 * time.Second // until those that could not be are tried again
)

// post puts news about c into the outbox, for Run to dispatch when it next looks. Called with m locked.
func (m *Monitor) post(c *condition, p event.Payload) {
	if len(m.outbox) >= maxOutbox {
		m.lost++
		return
	}
	e, err := event.New(p, event.Meta{Tenant: c.tenant})
	if err != nil { // the texts are those of errors, and names were checked, so this does not happen
		m.log.Error("tocsin: an alarm could not be made", dispatcher.AttrRoute, c.name, dispatcher.AttrError, err)
		return
	}
	m.outbox = append(m.outbox, e)
}

// send dispatches what is in the outbox, each event for itself. It reports whether something has to be tried again, or
// why nothing can be dispatched any more.
func (m *Monitor) send(ctx context.Context, d dispatcher.Dispatcher) (again bool, err error) {
	m.mu.Lock()
	all, lost := m.outbox, m.lost
	m.outbox, m.lost = nil, 0
	m.mu.Unlock()
	if lost > 0 {
		m.log.Warn("tocsin: alarms were lost: too many waited", dispatcher.AttrLost, lost)
	}
	var kept []event.Event
	for _, e := range all {
		err := d.Dispatch(ctx, e)
		if err == nil {
			continue
		}
		if errors.Is(err, dispatcher.ErrShutdown) {
			return false, err
		}
		m.log.Warn("tocsin: an alarm could not be dispatched", dispatcher.AttrEventID, e.ID(),
			dispatcher.AttrEventType, string(e.Type()), dispatcher.AttrRoute, e.Subject(), dispatcher.AttrError, err)
		if _, full := errors.AsType[*dispatcher.BacklogError](err); !full {
			kept = append(kept, e)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outbox = append(kept, m.outbox...)
	return len(kept) > 0, nil
}
