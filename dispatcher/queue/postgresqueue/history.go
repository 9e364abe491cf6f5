package postgresqueue

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// historyStore keeps in the queue's database what was tried.
type historyStore struct{ queue *Queue }

// History returns the history store in the queue's database, which all processes share. An event is stored once, however
// many entries are about it, beside the copy that the queue itself has while the event is under way. Retention is the
// history.Recorder's. When ctx ends during a call that changes something, that may be done all the same. After Close its
// calls return ErrClosed.
func (q *Queue) History() history.Store { return historyStore{q} }

var errNoEvent = errors.New("postgresqueue: an entry of the history has no event")

// Append implements history.Store.
func (s historyStore) Append(ctx context.Context, entries ...history.Entry) error {
	if err := ctx.Err(); err != nil || len(entries) == 0 {
		return err
	}
	n := len(entries)
	times, statuses := make([]int64, n), make([]int32, n)
	tenants, routes, types, subjects, outcomes, ids := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	digests, bodies, details := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, e := range entries {
		if e.Event.IsZero() {
			return errNoEvent
		}
		body := e.Event.JSON()
		digest := sha256.Sum256(body)
		times[i], statuses[i] = *stamp(e.Time), int32(e.Status)
		tenants[i], routes[i], types[i], subjects[i] = e.Route.Tenant, e.Route.Name, string(e.Event.Type()), e.Event.Subject()
		outcomes[i], ids[i], digests[i], bodies[i] = string(e.Outcome), e.Event.ID(), digest[:], body
		e.Event = event.Event{} // its bytes are kept as they are
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		details[i] = text
	}
	return s.queue.send(ctx, "store history", func(b *batch) {
		// One at a time, so that entries of a call are side by side and a later Seq was stored later.
		b.add("SELECT pg_advisory_xact_lock(hashtext($1), 1)", "tocsin history "+s.queue.store.db.schema)
		// An event that is there already is locked, so that Prune does not remove it before the entry is stored.
		b.add(`INSERT INTO tocsin.told AS t (id, digest, format, body) SELECT DISTINCT ON (id, digest) id, digest, $4::smallint, body
			FROM unnest($1::text[], $2::bytea[], $3::bytea[]) e(id, digest, body) ORDER BY id, digest
			ON CONFLICT (id, digest) DO UPDATE SET format = t.format`, ids, digests, bodies, int16(bodyFormat))
		b.add(`INSERT INTO tocsin.history (time, tenant, route, told, type, subject, outcome, status, detail)
			SELECT e.time, e.tenant, e.route, t.num, e.type, e.subject, e.outcome, e.status, e.detail
			FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::int[], $10::bytea[])
				WITH ORDINALITY e(time, tenant, route, id, digest, type, subject, outcome, status, detail, n)
			JOIN tocsin.told t ON t.id = e.id AND t.digest = e.digest ORDER BY e.n`,
			times, tenants, routes, ids, digests, types, subjects, outcomes, statuses, details)
	})
}

// selectedEntries is q as a WHERE clause.
func selectedEntries(q history.Query) (where string, args []any) {
	outcomes := make([]string, len(q.Outcomes))
	for i, o := range q.Outcomes {
		outcomes[i] = string(o)
	}
	where = "h.seq > 0"
	for _, c := range [...]struct {
		on   bool
		text string
		arg  any
	}{
		{!q.EveryTenant(), "h.tenant = $%d", q.Tenant},
		{q.Route != "", "h.route = $%d", q.Route},
		{q.EventID != "", "h.told IN (SELECT num FROM tocsin.told WHERE id = $%d)", q.EventID},
		{q.Subject != "", "h.subject = $%d", q.Subject},
		{q.Type != "", "h.type = $%d", string(q.Type)},
		{len(q.Outcomes) > 0, "h.outcome = ANY($%d::text[])", outcomes},
		{q.Status != 0, "h.status = $%d", q.Status},
		{!q.Since.IsZero(), "h.time >= $%d", stamp(q.Since)},
		{!q.Until.IsZero(), "h.time < $%d", stamp(q.Until)},
		{q.Seq != 0, "h.seq = $%d", q.Seq},
		{q.Before != 0, "h.seq < $%d", q.Before},
	} {
		if c.on {
			args = append(args, c.arg)
			where += " AND " + fmt.Sprintf(c.text, len(args))
		}
	}
	return where, args
}

// Query implements history.Store.
func (s historyStore) Query(ctx context.Context, q history.Query) (found []history.Entry, err error) {
	where, args := selectedEntries(q)
	args = append(args, q.Max())
	err = s.queue.send(ctx, "read history", func(b *batch) {
		b.rows(func(row pgx.Rows) error {
			e, err := readEntry(row)
			found = append(found, e)
			return err
		}, fmt.Sprintf(`SELECT h.seq, h.detail, t.format, t.body FROM tocsin.history h JOIN tocsin.told t ON t.num = h.told
			WHERE %s ORDER BY h.seq DESC LIMIT $%d`, where, len(args)), args...)
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func readEntry(row pgx.Rows) (e history.Entry, err error) {
	var seq int64
	var detail, body []byte
	var format int16
	if err := row.Scan(&seq, &detail, &format, &body); err != nil {
		return e, err
	}
	if err := json.Unmarshal(detail, &e); err != nil {
		return e, err
	}
	e.Seq = seq
	e.Event, err = readEvent(format, body)
	return e, err
}

// Prune implements history.Store, some entries at a time: after an error those of the number returned are gone.
func (s historyStore) Prune(ctx context.Context, before time.Time, keep int) (n int, err error) {
	if !before.IsZero() {
		if n, err = s.remove(ctx, "time < $1", *stamp(before)); err != nil {
			return n, err
		}
	}
	if keep <= 0 {
		return n, nil
	}
	newest := int64(0) // of those that go
	err = s.queue.send(ctx, "prune history", func(b *batch) {
		b.rows(func(row pgx.Rows) error { return row.Scan(&newest) },
			"SELECT seq FROM tocsin.history ORDER BY seq DESC LIMIT 1 OFFSET $1", keep)
	})
	if err != nil {
		return n, err
	}
	more, err := s.remove(ctx, "seq <= $1", newest)
	return n + more, err
}

// remove removes the entries for which the condition holds, and their events with the last ones that are about them.
func (s historyStore) remove(ctx context.Context, where string, limit int64) (n int, err error) {
	for {
		removed := 0
		var told []int64
		err := s.queue.send(ctx, "prune history", func(b *batch) {
			b.rows(func(row pgx.Rows) error {
				var num int64
				err := row.Scan(&num)
				removed++
				told = append(told, num)
				return err
			}, "DELETE FROM tocsin.history WHERE seq IN (SELECT seq FROM tocsin.history WHERE "+where+" ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING told",
				limit, mostCleaned)
		})
		if err != nil {
			return n, err
		}
		n += removed
		if len(told) > 0 {
			err = s.queue.send(ctx, "prune history", func(b *batch) {
				b.add(`DELETE FROM tocsin.told WHERE num IN (SELECT num FROM tocsin.told t WHERE num = ANY($1::bigint[])
					AND NOT EXISTS (SELECT FROM tocsin.history h WHERE h.told = t.num) FOR UPDATE SKIP LOCKED)`, told)
			})
		}
		if err != nil || removed < mostCleaned {
			return n, err
		}
	}
}
