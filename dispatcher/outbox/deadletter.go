package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// DeadLetter is a row that can never be handed over as it is: the Dispatcher refused it for good, or this program
// cannot read it. It is kept, and the rows behind it went on.
type DeadLetter struct {
	ID        int64
	Operation Operation
	Event     event.Event // zero for a Cancel, and if it cannot be read
	At        time.Time   // of a Schedule
	Key       string      // of a Schedule or Cancel
	Written   time.Time   // in the host's transaction
	Died      time.Time
	Reason    string // in words; ASCII, at most 1,000 bytes
}

// markDead moves a row to the dead letters. One that is gone already was moved by another process.
func (o *Outbox) markDead(ctx context.Context, r *Relay, failed row, e event.Event, cause error) error {
	to := []string{
		o.database.bind(`INSERT INTO ` + o.tables.dead + ` (id, written, reason, ` + columns + `)
			SELECT id, written, ?, ` + columns + ` FROM ` + o.tables.rows + ` WHERE id = ?`),
		o.database.bind(`DELETE FROM ` + o.tables.rows + ` WHERE id = ?`),
	}
	_, err := o.move(ctx, r.db, to, []any{reason(cause), failed.id}, []any{failed.id})
	if err != nil {
		return err
	}
	r.log.Error("tocsin: a row of the outbox cannot be handed over and became a dead letter", "row", failed.id,
		"operation", Operation(failed.operation).String(), dispatcher.AttrEventID, e.ID(), dispatcher.AttrEventType, string(e.Type()),
		dispatcher.AttrTenant, e.Tenant(), dispatcher.AttrReason, reason(cause))
	return nil
}

// move runs an INSERT and a DELETE of the same rows in one transaction and reports how many there were.
func (o *Outbox) move(ctx context.Context, db *sql.DB, statements []string, args ...[]any) (int, error) {
	tx, err := begin(ctx, db, o.database, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	var moved [2]int64
	for i := range statements {
		result, err := tx.ExecContext(ctx, statements[i], args[i]...)
		if err != nil {
			return 0, err
		}
		if moved[i], err = result.RowsAffected(); err != nil {
			return 0, err
		}
	}
	if moved[0] != moved[1] {
		return 0, fmt.Errorf("%d rows were copied and %d deleted: another process moved them at the same time", moved[0], moved[1])
	}
	return int(moved[0]), tx.Commit()
}

// DeadLetters lists up to limit dead letters with an ID above after, in the order of their IDs. It reads the table of
// the dead letters only.
func (o *Outbox) DeadLetters(ctx context.Context, db *sql.DB, after int64, limit int) ([]DeadLetter, error) {
	found, err := db.QueryContext(ctx, o.database.bind(fmt.Sprintf(`SELECT written, died, reason, id, %s FROM %s WHERE id > ? ORDER BY id LIMIT %d`,
		columns, o.tables.dead, max(limit, 0))), after)
	if err != nil {
		return nil, fmt.Errorf("outbox: dead letters: %w", err)
	}
	defer func() { _ = found.Close() }()
	var all []DeadLetter
	for found.Next() {
		var r row
		var written, died int64
		var l DeadLetter
		if err := r.scan(found, &written, &died, &l.Reason); err != nil {
			return nil, fmt.Errorf("outbox: dead letters: %w", err)
		}
		l.ID, l.Operation, l.Key = r.id, Operation(r.operation), r.key
		l.Written, l.Died = time.UnixMilli(written), time.UnixMilli(died)
		if l.Operation == OperationSchedule {
			l.At = time.Unix(0, r.at)
		}
		l.Event, _ = r.decode() // the reason says why it cannot be read
		all = append(all, l)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("outbox: dead letters: %w", err)
	}
	return all, nil
}

// Requeue gives dead letters back, behind all rows that wait, as old as now. It reports how many there were.
func (o *Outbox) Requeue(ctx context.Context, db *sql.DB, ids ...int64) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	n, err := o.move(ctx, db, []string{
		`INSERT INTO ` + o.tables.rows + ` (` + columns + `) SELECT ` + columns + ` FROM ` + o.tables.dead + ` WHERE id IN ` + list(ids) + ` ORDER BY id`,
		`DELETE FROM ` + o.tables.dead + ` WHERE id IN ` + list(ids),
	}, nil, nil)
	if err != nil {
		return 0, fmt.Errorf("outbox: requeue: %w", err)
	}
	return n, nil
}

// Discard deletes dead letters for good. It reports how many there were.
func (o *Outbox) Discard(ctx context.Context, db *sql.DB, ids ...int64) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	result, err := db.ExecContext(ctx, `DELETE FROM `+o.tables.dead+` WHERE id IN `+list(ids))
	if err != nil {
		return 0, fmt.Errorf("outbox: discard: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
