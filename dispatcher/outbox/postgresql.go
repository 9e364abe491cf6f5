package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

type postgreSQL struct{}

func (postgreSQL) quote(name string) string { return `"` + name + `"` }

func (postgreSQL) bind(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

func (postgreSQL) now() string { return "(extract(epoch FROM clock_timestamp()) * 1000)::bigint" }

func (p postgreSQL) migrations(t tables) [][]string {
	return [][]string{{
		// CACHE 1: the order of rows depends on it.
		`CREATE TABLE ` + t.rows + ` (
	id        bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
	xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
	written   bigint NOT NULL DEFAULT ` + p.now() + `,
	format    smallint NOT NULL,
	operation smallint NOT NULL,
	at        bigint,
	name      bytea,
	body      bytea
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0)`,
		`CREATE INDEX ` + t.index + ` ON ` + t.rows + ` (xid)`,
		`CREATE TABLE ` + t.dead + ` (
	id        bigint PRIMARY KEY,
	written   bigint NOT NULL,
	died      bigint NOT NULL DEFAULT ` + p.now() + `,
	reason    text NOT NULL,
	format    smallint NOT NULL,
	operation smallint NOT NULL,
	at        bigint,
	name      bytea,
	body      bytea
)`,
		`CREATE TABLE ` + t.state + ` (
	one     smallint PRIMARY KEY CHECK (one = 1),
	version integer NOT NULL,
	holder  text NOT NULL,
	ends    bigint NOT NULL
) WITH (fillfactor = 50)`,
		`INSERT INTO ` + t.state + ` (one, version, holder, ends) VALUES (1, 1, '', 0)`,
	}}
}

// begin takes a lock that ends with the transaction, so that it works through pgbouncer in transaction mode.
func (postgreSQL) begin(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "BEGIN")
	if err == nil {
		_, err = c.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtext('tocsin_outbox'))")
	}
	return err
}

func (postgreSQL) ends() (commit, rollback string) { return "COMMIT", "ROLLBACK" }

// settings keep statements on their indexes: when a table is new, empty or bloated, the planner's guesses cost a
// hundred times what a query does. And they end the transaction of a relay that stands still in the middle of it, so
// that it does not lock rows another one has to delete.
func (postgreSQL) settings() string {
	return `SELECT set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
	set_config('max_parallel_workers_per_gather', '0', true), set_config('idle_in_transaction_session_timeout', '5s', true)`
}

// installed reads a table and calls no to_regclass, which may not notice what was committed meanwhile.
func (postgreSQL) installed(t tables) string {
	place := "pg_table_is_visible(c.oid)"
	if t.schema != "" {
		place = "n.nspname = '" + t.schema + "'"
	}
	return `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = '` + t.name + `' AND ` + place
}

func (postgreSQL) feed(t tables) feed { return &snapshotFeed{table: t.rows} }

// snapshotFeed reads rows by the transactions that wrote them. It keeps the snapshot up to which it has read; new rows
// are those of transactions that were open then or began later. So a row is found however late its transaction commits,
// no open transaction holds others up, and rows that were deleted but not yet vacuumed cost nothing.
//
// Many new rows are read in pages, in the order of their ids, and all pages of a round stop at the snapshot of its
// first page. Without that a row could overtake one of a lower id that was committed before, on a page already read.
type snapshotFeed struct {
	table string
	since string // the snapshot up to which everything was read; "" = nothing was
	round string // the snapshot the pages being read stop at; "" = no page was read
	last  int64  // the last id of the page before
}

func (f *snapshotFeed) begin(ctx context.Context, db *sql.DB, readOnly bool) (*sql.Tx, error) {
	return begin(ctx, db, postgreSQL{}, &sql.TxOptions{Isolation: sql.LevelReadCommitted, ReadOnly: readOnly})
}

func (f *snapshotFeed) next(ctx context.Context, db *sql.DB) ([]row, error) {
	tx, err := f.begin(ctx, db, true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // only read
	query, args := f.query()
	found, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	p := page{}
	snapshot := ""
	for !p.full() && found.Next() {
		var r row
		if err := r.scan(found, &snapshot); err != nil {
			return nil, err
		}
		if r.id != 0 {
			p.add(r)
		}
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	if f.round == "" {
		f.round = snapshot
	}
	if p.full() {
		f.last = p.rows[len(p.rows)-1].id
	} else {
		f.since, f.round, f.last = f.round, "", 0
	}
	return p.rows, nil
}

// query is for the next page. The snapshot is that of the statement itself, with which it reads the rows.
func (f *snapshotFeed) query() (query string, args []any) {
	rows := ` LEFT JOIN LATERAL (SELECT id, ` + columns + `, id AS place FROM ` + f.table + ` WHERE `
	limit := ` LIMIT ` + strconv.Itoa(maxRows) + `) r ON true ORDER BY r.place`
	query = `SELECT s.now::text, r.id, r.format, r.operation, r.at, r.name, r.body FROM (SELECT pg_current_snapshot() AS now) s`
	// What a page further on may hold: nothing that was not committed at the first one. The xids of rows that were
	// restored from another server are ahead of this one's; they are old.
	const settled = `(pg_visible_in_snapshot(xid, ?::pg_snapshot) OR xid >= pg_snapshot_xmax(s.now))`
	switch {
	case f.round == "" && f.since == "":
		query += rows + `true ORDER BY id` + limit
	case f.round == "": // id + 0, so that the index on xid is read and not that on id
		query += rows + `xid >= pg_snapshot_xmax(?::pg_snapshot) OR xid = ANY (ARRAY(SELECT pg_snapshot_xip(?::pg_snapshot)))
			ORDER BY id + 0` + limit
		args = []any{f.since, f.since}
	case f.since == "":
		query += rows + `id > ? AND ` + settled + ` ORDER BY id` + limit
		args = []any{f.last, f.round}
	default: // a call, so that the index on id is read and not that on xid
		query += rows + `id > ? AND ` + settled + ` AND NOT pg_visible_in_snapshot(xid, ?::pg_snapshot) ORDER BY id` + limit
		args = []any{f.last, f.round, f.since}
	}
	return postgreSQL{}.bind(query), args
}

func (f *snapshotFeed) remove(ctx context.Context, db *sql.DB, ids []int64) error {
	array := strings.ReplaceAll(strings.Trim(fmt.Sprint(ids), "[]"), " ", ",")
	tx, err := f.begin(ctx, db, false)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM `+f.table+` WHERE id = ANY ($1::bigint[])`, "{"+array+"}"); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

func (f *snapshotFeed) flush(context.Context, *sql.DB) error { return nil }

// openTransaction asks pg_stat_activity, where a role without pg_monitor sees nothing of the sessions of others. The
// lowest xid that is in progress is visible to all: how long it stays the same is how long its transaction is open.
func (postgreSQL) openTransaction(ctx context.Context, db *sql.DB) (openTransaction, error) {
	var t openTransaction
	var milliseconds sql.NullInt64
	var session sql.NullString
	err := db.QueryRowContext(ctx, `
SELECT CASE WHEN pg_snapshot_xmin(s.now) < pg_snapshot_xmax(s.now) THEN pg_snapshot_xmin(s.now)::text ELSE '' END, a.age, a.session
FROM (SELECT pg_current_snapshot() AS now) s
LEFT JOIN LATERAL (
	SELECT (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint AS age,
		concat('pid ', pid, ', user ', usename, ', application ', application_name) AS session
	FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1
) a ON true`).Scan(&t.id, &milliseconds, &session)
	t.age, t.session = time.Duration(milliseconds.Int64)*time.Millisecond, session.String
	return t, err
}
