package outbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Options configure an Outbox. The zero value is ready for use.
type Options struct {
	// Table is where rows wait, "table" or "schema.table": letters, digits and "_", at most 56 characters each, quoted
	// as it stands. "" = DefaultTable. Two more tables stand beside it, with "_dead" and "_state" behind its name. The
	// schema must exist.
	Table string
}

// Outbox writes events in the host's transactions, and knows the tables they are in. It holds no connection and needs
// no closing. All methods are safe for concurrent use.
type Outbox struct {
	database   database
	tables     tables
	dispatches string // the beginning of the statement that inserts events
	schedule   string
	cancel     string
}

// New makes an Outbox. A mistake is a *channel.ConfigError. The tables are made by [Outbox.Migrate], or by the host
// with [Outbox.Migrations].
func New(d Dialect, o Options) (*Outbox, error) {
	db, err := d.database()
	if err != nil {
		return nil, err
	}
	t, err := newTables(o.Table, db.quote)
	if err != nil {
		return nil, err
	}
	return &Outbox{
		database:   db,
		tables:     t,
		dispatches: `INSERT INTO ` + t.rows + ` (format, operation, body) VALUES `,
		schedule: db.bind(fmt.Sprintf(`INSERT INTO %s (format, operation, at, name, body) VALUES (%d, %d, ?, ?, ?)`,
			t.rows, rowFormat, OperationSchedule)),
		cancel: db.bind(fmt.Sprintf(`INSERT INTO %s (format, operation, name) VALUES (%d, %d, ?)`,
			t.rows, rowFormat, OperationCancel)),
	}, nil
}

// Bounds of one INSERT.
const (
	maxInsertRows  = 100
	maxInsertBytes = 1 << 20 // of bodies; one row may exceed it
)

// Dispatch writes events in the transaction tx. They are dispatched, in this order, if and only if it commits. A bad
// event is a *dispatcher.EventError that names it, and nothing is written. Another error is the driver's; PostgreSQL
// refuses everything but a rollback after it. Up to 100 events, and 1 MiB, are one statement.
func (o *Outbox) Dispatch(ctx context.Context, tx Tx, events ...event.Event) error {
	if err := dispatcher.ValidateEvents(events...); err != nil {
		return err
	}
	for len(events) > 0 {
		n, bytes := 0, 0
		for n < len(events) && n < maxInsertRows && bytes < maxInsertBytes {
			bytes += len(events[n].JSON())
			n++
		}
		if err := o.insert(ctx, tx, events[:n]); err != nil {
			return fmt.Errorf("outbox: dispatch: %w", err)
		}
		events = events[n:]
	}
	return nil
}

func (o *Outbox) insert(ctx context.Context, tx Tx, events []event.Event) error {
	values := fmt.Sprintf(", (%d, %d, ?)", rowFormat, OperationDispatch)
	args := make([]any, len(events))
	for i, e := range events {
		args[i] = []byte(e.JSON())
	}
	return tx(ctx, o.database.bind(o.dispatches+strings.Repeat(values, len(events))[len(", "):]), args...)
}

// Schedule writes in the transaction tx that e is to be held until the given time under key: what
// [dispatcher.Scheduler] says of Schedule holds if and only if tx commits. An event that is bad is a
// *dispatcher.EventError, a key that is empty or longer than 255 bytes a *dispatcher.KeyError, and nothing is written.
func (o *Outbox) Schedule(ctx context.Context, tx Tx, at time.Time, key string, e event.Event) error {
	if err := dispatcher.ValidateEvents(e); err != nil {
		return err
	}
	if err := dispatcher.ValidateKey(key); err != nil {
		return err
	}
	if err := tx(ctx, o.schedule, nanoseconds(at), []byte(key), []byte(e.JSON())); err != nil {
		return fmt.Errorf("outbox: schedule: %w", err)
	}
	return nil
}

// Cancel writes in the transaction tx that the event scheduled under key is to be cancelled, if and only if tx commits
// and it was not dispatched before that is relayed. A key that is empty or too long is a *dispatcher.KeyError.
func (o *Outbox) Cancel(ctx context.Context, tx Tx, key string) error {
	if err := dispatcher.ValidateKey(key); err != nil {
		return err
	}
	if err := tx(ctx, o.cancel, []byte(key)); err != nil {
		return fmt.Errorf("outbox: cancel: %w", err)
	}
	return nil
}
