package postgresqueue

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// Prune implements history.Store, some entries at a time: after an error those of the number returned are gone.
func (s historyStore) Prune(ctx context.Context, r history.Retention) (n int, err error) {
	if !r.Before.IsZero() {
		if n, err = s.remove(ctx, "time < $2", stampOf(r.Before)); err != nil {
			return n, err
		}
	}
	for _, limits := range [...]func(context.Context, history.Retention) ([]quota, error){s.tenantQuotas, s.fairQuotas} {
		quotas, err := limits(ctx, r)
		if err != nil {
			return n, err
		}
		for _, q := range quotas {
			removed, err := s.enforce(ctx, q)
			n += removed
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Remove implements history.Store, as Prune does it.
func (s historyStore) Remove(ctx context.Context, of channel.RouteID) (int, error) {
	if of.Name == "" {
		return s.remove(ctx, "tenant = $2", of.Tenant)
	}
	return s.remove(ctx, "tenant = $2 AND route = $3", of.Tenant, of.Name)
}

// quota is what a tenant may keep.
type quota struct {
	tenant         string
	entries, bytes int64
}

// tenantQuotas are those of tenants that have more than one tenant may have.
func (s historyStore) tenantQuotas(ctx context.Context, r history.Retention) (quotas []quota, err error) {
	most := quota{entries: math.MaxInt64, bytes: math.MaxInt64}
	if r.TenantEntries > 0 {
		most.entries = int64(r.TenantEntries)
	}
	if r.TenantBytes > 0 {
		most.bytes = r.TenantBytes
	}
	err = s.queue.send(ctx, "prune history", func(b *batch) {
		b.rows(func(row pgx.Rows) error {
			q := most
			err := row.Scan(&q.tenant)
			quotas = append(quotas, q)
			return err
		}, "SELECT tenant FROM tocsin.history_tenant WHERE entries > $1 OR bytes > $2", most.entries, most.bytes)
	})
	return quotas, err
}

// fairQuotas are those of the tenants with the most, when all together have too many.
func (s historyStore) fairQuotas(ctx context.Context, r history.Retention) (above []quota, err error) {
	if r.Entries <= 0 {
		return nil, nil
	}
	var tenants []string
	var counts []int
	err = s.queue.send(ctx, "prune history", func(b *batch) {
		b.rows(func(row pgx.Rows) error {
			var tenant string
			var n int
			err := row.Scan(&tenant, &n)
			tenants, counts = append(tenants, tenant), append(counts, n)
			return err
		}, `SELECT tenant, entries FROM tocsin.history_tenant
			WHERE (SELECT sum(entries) FROM tocsin.history_tenant) > $1 ORDER BY entries DESC`, r.Entries)
	})
	most, extra := history.Shares(counts, r.Entries)
	for i, tenant := range tenants {
		q := quota{tenant, int64(most), math.MaxInt64}
		if i < extra {
			q.entries++
		}
		if int64(counts[i]) > q.entries {
			above = append(above, q)
		}
	}
	return above, err
}

// deleteEntries deletes entries old of the history, and events with the last entries that are about them. It counts.
const deleteEntries = `, gone AS (DELETE FROM tocsin.history h USING old WHERE h.seq = old.seq RETURNING h.tenant, h.told, h.bytes),
	event AS (SELECT told, count(*) AS n FROM gone GROUP BY told),
	last AS (DELETE FROM tocsin.told t USING event e WHERE t.num = e.told AND t.refs <= e.n),
	fewer AS (UPDATE tocsin.told t SET refs = t.refs - e.n FROM event e WHERE t.num = e.told AND t.refs > e.n),
	share AS (SELECT tenant, count(*) AS n, sum(bytes) AS bytes FROM gone GROUP BY tenant),
	none AS (DELETE FROM tocsin.history_tenant t USING share s WHERE t.tenant = s.tenant AND t.entries <= s.n),
	less AS (UPDATE tocsin.history_tenant t SET entries = t.entries - s.n, bytes = t.bytes - s.bytes FROM share s
		WHERE t.tenant = s.tenant AND t.entries > s.n)
	SELECT count(*) FROM gone`

// overQuota are a tenant's oldest entries as long as it has more than its quota.
const overQuota = `WITH has AS (SELECT entries, bytes FROM tocsin.history_tenant WHERE tenant = $2),
	first AS (SELECT seq, bytes FROM tocsin.history WHERE tenant = $2 ORDER BY seq LIMIT $1),
	counted AS (SELECT seq, row_number() OVER byseq - 1 AS n, sum(bytes) OVER byseq - bytes AS bytes FROM first WINDOW byseq AS (ORDER BY seq)),
	old AS (SELECT c.seq FROM counted c, has WHERE has.entries - c.n > $3 OR has.bytes - c.bytes > $4)`

// enforce removes a tenant's oldest entries as long as it has more than its quota.
func (s historyStore) enforce(ctx context.Context, q quota) (int, error) {
	return s.delete(ctx, overQuota, q.tenant, q.entries, q.bytes)
}

// remove removes the entries for which a condition holds, of which $2 is the first argument.
func (s historyStore) remove(ctx context.Context, where string, args ...any) (int, error) {
	return s.delete(ctx, "WITH old AS (SELECT seq FROM tocsin.history WHERE "+where+" ORDER BY seq LIMIT $1)", args...)
}

// delete removes the entries that a query names old, of which $1 is how many at a time.
func (s historyStore) delete(ctx context.Context, old string, args ...any) (n int, err error) {
	for {
		removed := 0
		err := s.queue.send(ctx, "prune history", func(b *batch) {
			s.lock(b)
			b.add(old+deleteEntries, append([]any{mostCleaned}, args...)...).
				QueryRow(func(row pgx.Row) error { return row.Scan(&removed) })
		})
		if err != nil {
			return n, err
		}
		if n += removed; removed < mostCleaned {
			return n, nil
		}
	}
}
