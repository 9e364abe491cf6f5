package sqlitequeue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tocsin-go/tocsin/channel"
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
		added := map[string]share{}
		for i := range entries {
			size := entries[i].Size()
			if err := t.putEntry(&entries[i], details[i], size); err != nil {
				return err
			}
			tenant := entries[i].Route.Tenant
			added[tenant] = added[tenant].plus(1, size)
		}
		return t.count(added)
	})
}

// share is what a tenant has in the history.
type share struct{ entries, bytes int64 }

func (s share) plus(entries, bytes int64) share { return share{s.entries + entries, s.bytes + bytes} }

// count adds to what tenants have, or takes away from it.
func (t *tx) count(added map[string]share) error {
	for tenant, s := range added {
		_, err := t.exec(`INSERT INTO history_tenant VALUES (?, ?, ?)
			ON CONFLICT (tenant) DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes`, tenant, s.entries, s.bytes)
		if err == nil && s.entries < 0 {
			_, err = t.exec("DELETE FROM history_tenant WHERE tenant = ? AND entries <= 0", tenant)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putEntry(e *history.Entry, detail string, size int64) error {
	num, err := t.putHistoryEvent(e.Event)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO history (time, tenant, route, told, type, subject, outcome, status, detail, bytes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		stampOf(e.Time), e.Route.Tenant, e.Route.Name, num, string(e.Event.Type()), e.Event.Subject(), string(e.Outcome), int64(e.Status), detail, size)
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

// selected is q as a FROM clause with the index to go by, or else fallback, and its WHERE clause. SQLite knows nothing
// of how many rows there are and is told the index: of its choices some look at the rows of all tenants.
func selected(q history.Query, fallback string) (from string, args []any, err error) {
	outcomes, err := json.Marshal(q.Outcomes)
	where := "history.seq > 0"
	ofRoute := q.Route != channel.RouteID{}
	for _, c := range [...]struct {
		on   bool
		text string
		arg  any
	}{
		{!q.EveryTenant(), "tenant = ?", q.Tenant},
		{ofRoute, "tenant = ?", q.Route.Tenant},
		{ofRoute, "route = ?", q.Route.Name},
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
	index := fallback
	switch {
	case q.Seq != 0:
		index = bySeq
	case q.EventID != "":
		index = "INDEXED BY history_told"
	case q.Subject != "":
		index = "INDEXED BY history_subject"
	case ofRoute:
		index = "INDEXED BY history_route"
	case !q.EveryTenant():
		index = "INDEXED BY history_owner"
	}
	return "history " + index + " WHERE " + where, args, err
}

// Ways to go by where there is no tenant, route, subject or event.
const (
	bySeq  = "NOT INDEXED"
	byTime = "INDEXED BY history_time"
)

// Query implements history.Store.
func (s historyStore) Query(ctx context.Context, q history.Query) ([]history.Entry, error) {
	from, args, err := selected(q, bySeq)
	if err != nil {
		return nil, err
	}
	var found []history.Entry
	var bad error
	err = s.queue.store.readers.history.read(ctx, func(c *conn) error {
		// In two steps, of which the first can take long: it is one row for SQLite, so that it ends with ctx.
		var chosen string
		err := c.each(func(v []driverValue) bool { chosen = text(v[0]); return false },
			`SELECT json_group_array(seq) FROM (SELECT seq FROM `+from+` ORDER BY seq DESC LIMIT ?)`,
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

// Totals implements history.Store.
func (s historyStore) Totals(ctx context.Context, q history.Query, step time.Duration) ([]history.Total, error) {
	totals, err := q.Spans(step)
	if err != nil {
		return nil, err
	}
	from, args, err := selected(q, byTime)
	if err != nil {
		return nil, err
	}
	err = s.queue.store.readers.history.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			totals[integer(v[0])].Add(text(v[1]), int(integer(v[2])))
			return true
		}, "SELECT (time - ?) / ?, outcome, count(*) FROM "+from+" GROUP BY 1, 2", append([]any{stampOf(q.Since), int64(step)}, args...)...)
	})
	if err != nil {
		return nil, storeError("read history", err)
	}
	return totals, nil
}
