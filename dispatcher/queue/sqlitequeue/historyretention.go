package sqlitequeue

import (
	"context"
	"math"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// Prune implements history.Store, a thousand entries at a time: after an error those of the number returned are gone.
func (s historyStore) Prune(ctx context.Context, r history.Retention) (n int, err error) {
	if !r.Before.IsZero() {
		if n, err = s.remove(ctx, "history INDEXED BY history_time WHERE time < ?", stampOf(r.Before)); err != nil {
			return n, err
		}
	}
	for _, limits := range [...]func(context.Context, history.Retention) ([]quota, error){s.tenantQuotas, s.fairQuotas} {
		quotas, err := limits(ctx, r)
		if err != nil {
			return n, storeError("prune history", err)
		}
		removed, err := s.enforce(ctx, quotas)
		n += removed
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Remove implements history.Store, as Prune does it.
func (s historyStore) Remove(ctx context.Context, of channel.RouteID) (int, error) {
	if of.Name == "" {
		return s.remove(ctx, "history INDEXED BY history_owner WHERE tenant = ?", of.Tenant)
	}
	return s.remove(ctx, "history INDEXED BY history_route WHERE tenant = ? AND route = ?", of.Tenant, of.Name)
}

// quota is what a tenant may keep.
type quota struct {
	tenant string
	share  share
}

// tenantQuotas are those of tenants that have more than one tenant may have.
func (s historyStore) tenantQuotas(ctx context.Context, r history.Retention) (quotas []quota, err error) {
	most := share{math.MaxInt64, math.MaxInt64}
	if r.TenantEntries > 0 {
		most.entries = int64(r.TenantEntries)
	}
	if r.TenantBytes > 0 {
		most.bytes = r.TenantBytes
	}
	err = s.queue.store.readers.history.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			quotas = append(quotas, quota{text(v[0]), most})
			return true
		}, "SELECT tenant FROM history_tenant WHERE entries > ? OR bytes > ?", most.entries, most.bytes)
	})
	return quotas, err
}

// fairQuotas are those of the tenants with the most, when all together have too many.
func (s historyStore) fairQuotas(ctx context.Context, r history.Retention) (quotas []quota, err error) {
	if r.Entries <= 0 {
		return nil, nil
	}
	var counts []int
	err = s.queue.store.readers.history.read(ctx, func(c *conn) error {
		total, err := c.number("SELECT sum(entries) FROM history_tenant")
		if err != nil || total <= int64(r.Entries) {
			return err
		}
		return c.each(func(v []driverValue) bool {
			quotas = append(quotas, quota{tenant: text(v[0])})
			counts = append(counts, int(integer(v[1])))
			return true
		}, "SELECT tenant, entries FROM history_tenant ORDER BY entries DESC")
	})
	most, extra := history.Shares(counts, r.Entries)
	var above []quota
	for i, q := range quotas {
		q.share = share{int64(most), math.MaxInt64}
		if i < extra {
			q.share.entries++
		}
		if int64(counts[i]) > q.share.entries {
			above = append(above, q)
		}
	}
	return above, err
}

// enforce removes the oldest entries of tenants that have more than their quotas.
func (s historyStore) enforce(ctx context.Context, quotas []quota) (n int, err error) {
	most := s.queue.store.volume.chunk()
	for len(quotas) > 0 {
		var removed, done int
		err := s.queue.write(ctx, "prune history", func(t *tx) error {
			removed, done = 0, 0
			for done < len(quotas) && removed < most {
				n, err := t.enforce(quotas[done], most-removed)
				if err != nil {
					return err
				}
				if removed += n; removed < most {
					done++
				}
			}
			return nil
		})
		if err != nil {
			return n, err // and the variables may still be written to
		}
		n, quotas = n+removed, quotas[done:]
	}
	return n, nil
}

// enforce removes a tenant's oldest entries as long as it has more than its quota, up to limit of them.
func (t *tx) enforce(q quota, limit int) (n int, err error) {
	var has share
	err = t.each(func(v []driverValue) bool {
		has = share{integer(v[0]), integer(v[1])}
		return false
	}, "SELECT entries, bytes FROM history_tenant WHERE tenant = ?", q.tenant)
	if err != nil {
		return 0, err
	}
	return t.deleteEntries(func(e *historyRow) bool {
		if has.entries <= q.share.entries && has.bytes <= q.share.bytes {
			return false
		}
		has = has.plus(-1, -e.bytes)
		return true
	}, limit, "history INDEXED BY history_owner WHERE tenant = ?", q.tenant)
}

// remove removes the entries that a FROM clause selects.
func (s historyStore) remove(ctx context.Context, from string, args ...any) (n int, err error) {
	most := s.queue.store.volume.chunk()
	for {
		var removed int
		err := s.queue.write(ctx, "prune history", func(t *tx) (err error) {
			removed, err = t.deleteEntries(func(*historyRow) bool { return true }, most, from, args...)
			return err
		})
		if err != nil {
			return n, err // and removed may still be written to
		}
		if n += removed; removed < most {
			return n, nil
		}
	}
}

// historyRow is what there is to know of an entry to delete it.
type historyRow struct {
	seq, event, bytes int64
	tenant            string
}

// deleteEntries removes up to limit of the entries that a FROM clause selects, the oldest first, until one is not to
// go.
func (t *tx) deleteEntries(goes func(*historyRow) bool, limit int, from string, args ...any) (int, error) {
	var rows []historyRow
	err := t.each(func(v []driverValue) bool {
		e := historyRow{integer(v[0]), integer(v[1]), integer(v[2]), text(v[3])}
		if !goes(&e) {
			return false
		}
		rows = append(rows, e)
		return true
	}, "SELECT seq, told, bytes, tenant FROM "+from+" ORDER BY seq LIMIT ?", append(args, int64(limit))...)
	if err != nil {
		return 0, err
	}
	gone := map[string]share{}
	for i := range rows {
		e := &rows[i]
		if err := t.deleteEntry(e.seq, e.event); err != nil {
			return 0, err
		}
		gone[e.tenant] = gone[e.tenant].plus(-1, -e.bytes)
	}
	return len(rows), t.count(gone)
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
