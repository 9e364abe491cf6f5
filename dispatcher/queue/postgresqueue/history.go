package postgresqueue

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/event"
)

// historyStore keeps in the queue's database what was tried.
type historyStore struct{ queue *Queue }

// History returns the history store in the queue's database, which all processes share. An event is stored once,
// however many entries are about it, beside the copy that the queue itself has while the event is under way. Retention
// is the history.Recorder's. When ctx ends during a call that changes something, that may be done all the same. After
// Close its calls return ErrClosed.
func (q *Queue) History() history.Store { return historyStore{q} }

var errNoEvent = errors.New("postgresqueue: an entry of the history has no event")

// Append implements history.Store.
func (s historyStore) Append(ctx context.Context, entries ...history.Entry) error {
	if err := ctx.Err(); err != nil || len(entries) == 0 {
		return err
	}
	n := len(entries)
	times, sizes, statuses := make([]int64, n), make([]int64, n), make([]int32, n)
	tenants, routes, types := make([]string, n), make([]string, n), make([]string, n)
	subjects, outcomes, ids := make([]string, n), make([]string, n), make([]string, n)
	digests, bodies, details := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, e := range entries {
		if e.Event.IsZero() {
			return errNoEvent
		}
		body := e.Event.JSON()
		digest := sha256.Sum256(body)
		times[i], sizes[i], statuses[i] = stampOf(e.Time), e.Size(), int32(e.Status)
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
		s.lock(b)
		b.add(`INSERT INTO tocsin.told AS t (id, digest, refs, format, body)
			SELECT id, digest, count(*), $4::smallint, (array_agg(body))[1] FROM unnest($1::text[], $2::bytea[], $3::bytea[]) e(id, digest, body)
			GROUP BY id, digest ON CONFLICT (id, digest) DO UPDATE SET refs = t.refs + EXCLUDED.refs`,
			ids, digests, bodies, int16(bodyFormat))
		b.add(`INSERT INTO tocsin.history (time, tenant, route, told, type, subject, outcome, status, detail, bytes)
			SELECT e.time, e.tenant, e.route, t.num, e.type, e.subject, e.outcome, e.status, e.detail, e.bytes
			FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::int[],
				$10::bytea[], $11::bigint[]) WITH ORDINALITY
				e(time, tenant, route, id, digest, type, subject, outcome, status, detail, bytes, n)
			JOIN tocsin.told t ON t.id = e.id AND t.digest = e.digest ORDER BY e.n`,
			times, tenants, routes, ids, digests, types, subjects, outcomes, statuses, details, sizes)
		b.add(`INSERT INTO tocsin.history_tenant AS t (tenant, entries, bytes)
			SELECT tenant, count(*), sum(bytes) FROM unnest($1::text[], $2::bigint[]) e(tenant, bytes) GROUP BY tenant
			ON CONFLICT (tenant) DO UPDATE SET entries = t.entries + EXCLUDED.entries, bytes = t.bytes + EXCLUDED.bytes`, tenants, sizes)
	})
}

// lock has changes of the history made one at a time, so that entries of a call are side by side, a later Seq was
// stored later, and the counts are right.
func (s historyStore) lock(b *batch) {
	b.add("SELECT pg_advisory_xact_lock(hashtext($1), 1)", "tocsin history "+s.queue.store.db.schema)
}

// selectedEntries is q as a WHERE clause.
func selectedEntries(q history.Query) (where string, args []any) {
	outcomes := make([]string, len(q.Outcomes))
	for i, o := range q.Outcomes {
		outcomes[i] = string(o)
	}
	ofRoute := q.Route != channel.RouteID{}
	where = "h.seq > 0"
	for _, c := range [...]struct {
		on   bool
		text string
		arg  any
	}{
		{!q.EveryTenant(), "h.tenant = $%d", q.Tenant},
		{ofRoute, "h.tenant = $%d", q.Route.Tenant},
		{ofRoute, "h.route = $%d", q.Route.Name},
		{q.EventID != "", "h.told IN (SELECT num FROM tocsin.told WHERE id = $%d)", q.EventID},
		{q.Subject != "", "h.subject = $%d", q.Subject},
		{q.Type != "", "h.type = $%d", string(q.Type)},
		{len(q.Outcomes) > 0, "h.outcome = ANY($%d::text[])", outcomes},
		{q.Status != 0, "h.status = $%d", q.Status},
		{!q.Since.IsZero(), "h.time >= $%d", stampOf(q.Since)},
		{!q.Until.IsZero(), "h.time < $%d", stampOf(q.Until)},
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

// Totals implements history.Store.
func (s historyStore) Totals(ctx context.Context, q history.Query, step time.Duration) ([]history.Total, error) {
	totals, err := q.Spans(step)
	if err != nil {
		return nil, err
	}
	where, args := selectedEntries(q)
	n := len(args)
	err = s.queue.send(ctx, "read history", func(b *batch) {
		b.rows(func(row pgx.Rows) error {
			var span, count int64
			var outcome string
			err := row.Scan(&span, &outcome, &count)
			if err == nil {
				totals[span].Add(outcome, int(count))
			}
			return err
		}, fmt.Sprintf("SELECT (h.time - $%d) / $%d, h.outcome, count(*) FROM tocsin.history h WHERE %s GROUP BY 1, 2", n+1, n+2, where),
			append(args, stampOf(q.Since), int64(step))...)
	})
	if err != nil {
		return nil, err
	}
	return totals, nil
}
