package sqlitequeue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// historyStore keeps in the queue's file what was tried.
type historyStore struct{ queue *Queue }

// History returns the history store in the queue's file: what it holds outlasts the process. An event is stored once,
// however many entries are about it, beside the copy that the queue itself has while the event is under way. Retention
// is the history.Recorder's. When ctx ends during a call that changes something, that may be done all the same. After
// Close its calls return ErrClosed.
func (q *Queue) History() history.Store { return historyStore{q} }

// Append implements history.Store.
func (s historyStore) Append(ctx context.Context, entries ...history.Entry) error {
	if err := ctx.Err(); err != nil || len(entries) == 0 {
		return err
	}
	details := make([]string, len(entries))
	bytes := 0
	for i, e := range entries {
		bytes += len(e.Event.JSON())
		e.Event = event.Event{} // its bytes are kept as they are
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		details[i] = string(text)
		bytes += len(text)
	}
	return s.queue.add(ctx, "store history", len(entries), bytes, func(t *tx) error {
		for i := range entries {
			if err := t.putEntry(&entries[i], details[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) putEntry(e *history.Entry, detail string) error {
	num, err := t.putHistoryEvent(e.Event)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO history (time, tenant, route, told, type, subject, outcome, status, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		stampOf(e.Time), e.Route.Tenant, e.Route.Name, num, string(e.Event.Type()), e.Event.Subject(), string(e.Outcome), int64(e.Status), detail)
	return err
}

// putHistoryEvent stores the event of an entry, unless another entry has brought it, and returns its number.
func (t *tx) putHistoryEvent(e event.Event) (num int64, err error) {
	if e.IsZero() {
		return 0, errNoEvent
	}
	body := string(e.JSON())
	err = t.each(func(v []driverValue) bool {
		if text(v[1]) == body {
			num = integer(v[0])
		}
		return num == 0
	}, "SELECT num, body FROM told WHERE id = ?", e.ID())
	if err != nil {
		return 0, err
	}
	if num != 0 {
		_, err = t.exec("UPDATE told SET refs = refs + 1 WHERE num = ?", num)
		return num, err
	}
	if _, err := t.exec("INSERT INTO told (id, refs, format, body) VALUES (?, 1, ?, ?)", e.ID(), int64(bodyFormat), body); err != nil {
		return 0, err
	}
	return t.number("SELECT last_insert_rowid()")
}

var errNoEvent = errors.New("sqlitequeue: an entry of the history has no event")

// stampOf is a time that is never NULL.
func stampOf(t time.Time) int64 { return integer(stamp(t)) }

// selected is q as a WHERE clause.
func selected(q history.Query) (where string, args []any, err error) {
	outcomes, err := json.Marshal(q.Outcomes)
	where = "history.seq > 0"
	for _, c := range [...]struct {
		on   bool
		text string
		arg  any
	}{
		{!q.EveryTenant(), "tenant = ?", q.Tenant},
		{q.Route != "", "route = ?", q.Route},
		{q.EventID != "", "told IN (SELECT num FROM told WHERE id = ?)", q.EventID},
		{q.Subject != "", "subject = ?", q.Subject},
		{q.Type != "", "type = ?", string(q.Type)},
		{len(q.Outcomes) > 0, "outcome IN (SELECT value FROM json_each(?))", string(outcomes)},
		{q.Status != 0, "status = ?", int64(q.Status)},
		{!q.Since.IsZero(), "time >= ?", stampOf(q.Since)},
		{!q.Until.IsZero(), "time < ?", stampOf(q.Until)},
		{q.Seq != 0, "history.seq = ?", q.Seq},
		{q.Before != 0, "history.seq < ?", q.Before},
	} {
		if c.on {
			where, args = where+" AND "+c.text, append(args, c.arg)
		}
	}
	return where, args, err
}

// Query implements history.Store.
func (s historyStore) Query(ctx context.Context, q history.Query) ([]history.Entry, error) {
	where, args, err := selected(q)
	if err != nil {
		return nil, err
	}
	var found []history.Entry
	var bad error
	err = s.queue.store.readers.history.read(ctx, func(c *conn) error {
		// In two steps, of which the first can take long: it is one row for SQLite, so that it ends with ctx.
		var chosen string
		err := c.each(func(v []driverValue) bool { chosen = text(v[0]); return false },
			`SELECT json_group_array(seq) FROM (SELECT seq FROM history WHERE `+where+` ORDER BY seq DESC LIMIT ?)`,
			append(args, int64(q.Max()))...)
		if err != nil {
			return err
		}
		return c.each(func(v []driverValue) bool {
			var e history.Entry
			e, bad = readEntry(v)
			found = append(found, e)
			return bad == nil
		}, `SELECT history.seq, detail, format, body
			FROM json_each(?) AS chosen CROSS JOIN history ON history.seq = chosen.value CROSS JOIN told ON told.num = history.told
			ORDER BY history.seq DESC`, chosen)
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, storeError("read history", err)
	}
	return found, nil
}

func readEntry(v []driverValue) (e history.Entry, err error) {
	if err := json.Unmarshal([]byte(text(v[1])), &e); err != nil {
		return e, err
	}
	e.Seq = integer(v[0])
	e.Event, err = readEvent(integer(v[2]), text(v[3]))
	return e, err
}

// Prune implements history.Store, a thousand entries at a time: after an error those of the number returned are gone.
func (s historyStore) Prune(ctx context.Context, before time.Time, keep int) (n int, err error) {
	if !before.IsZero() {
		if n, err = s.remove(ctx, "time < ?", stampOf(before)); err != nil {
			return n, err
		}
	}
	if keep <= 0 {
		return n, nil
	}
	var newest int64 // of those that go
	err = s.queue.store.readers.history.read(ctx, func(c *conn) (err error) {
		newest, err = c.number("SELECT seq FROM history ORDER BY seq DESC LIMIT 1 OFFSET ?", int64(keep))
		return err
	})
	if err != nil {
		return n, storeError("prune history", err)
	}
	more, err := s.remove(ctx, "seq <= ?", newest)
	return n + more, err
}

// remove removes the entries for which the condition holds.
func (s historyStore) remove(ctx context.Context, where string, limit int64) (n int, err error) {
	most := s.queue.store.volume.chunk()
	for {
		var seqs, events []int64
		err := s.queue.write(ctx, "prune history", func(t *tx) error {
			seqs, events = nil, nil
			err := t.each(func(v []driverValue) bool {
				seqs, events = append(seqs, integer(v[0])), append(events, integer(v[1]))
				return true
			}, "SELECT seq, told FROM history WHERE "+where+" LIMIT ?", limit, int64(most))
			for i := range seqs {
				if err == nil {
					err = t.deleteEntry(seqs[i], events[i])
				}
			}
			return err
		})
		if err != nil {
			return n, err // and seqs may still be written to
		}
		n += len(seqs)
		if len(seqs) < most {
			return n, nil
		}
	}
}

// deleteEntry removes an entry, and its event with the last one that is about it.
func (t *tx) deleteEntry(seq, num int64) error {
	if _, err := t.exec("DELETE FROM history WHERE seq = ?", seq); err != nil {
		return err
	}
	deleted, err := t.exec("DELETE FROM told WHERE num = ? AND refs <= 1", num)
	if err == nil && deleted == 0 {
		_, err = t.exec("UPDATE told SET refs = refs - 1 WHERE num = ?", num)
	}
	return err
}
