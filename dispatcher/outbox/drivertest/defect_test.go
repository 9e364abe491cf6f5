package drivertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/outbox"
	"github.com/tocsin-go/tocsin/dispatcher/outbox/outboxtest"
)

// defect is what a driver does to the statements of an Outbox.
type defect struct {
	rule    string // which has to find it
	on      outbox.Dialect
	pattern string
	instead string
}

// defects has one for each rule that a dialect or a driver can break. The others (write/refused, refusal/splits) are
// about what is done before a statement is sent, and behind it.
func defects() []defect {
	const (
		read    = `^SELECT id, format, operation, at, name, body`
		newRows = `xid >= pg_snapshot_xmax\(\$1::pg_snapshot\) OR xid = ANY \(ARRAY\(SELECT pg_snapshot_xip\(\$2::pg_snapshot\)\)\)`
	)
	return []defect{
		{"write/commit", outbox.SQLite, read, `SELECT id, format, operation, at, name, CAST(replace(body, 'é', 'e') AS BLOB)`},
		{"write/savepoint", outbox.SQLite, `^ROLLBACK TO SAVEPOINT`, `RELEASE SAVEPOINT`},
		{"write/many", outbox.SQLite, `ORDER BY id LIMIT`, `ORDER BY -id LIMIT`},
		{"order/commits", outbox.SQLite, `WHERE id > \? ORDER`, `WHERE id > ? + 1 ORDER`},
		// A cursor, which loses what commits late, and the guard against that, which stalls.
		{"order/late", outbox.PostgreSQL, newRows, `xid >= pg_snapshot_xmax($$1::pg_snapshot) AND $$2::pg_snapshot IS NOT NULL`},
		{"order/late", outbox.PostgreSQL, newRows, `xid < pg_snapshot_xmin(pg_current_snapshot())
			AND $$1::pg_snapshot IS NOT NULL AND $$2::pg_snapshot IS NOT NULL`},
		{"order/pages", outbox.PostgreSQL, `pg_visible_in_snapshot\(xid, \$2::pg_snapshot\) OR`, `$$2::pg_snapshot IS NOT NULL OR`},
		{"order/pages", outbox.MySQL, `(?s)^DELETE r FROM (\(SELECT .*\)) done STRAIGHT_JOIN (\S+) r .*`, `DELETE FROM $2 WHERE id <= (SELECT max(id) FROM $1 x)`},
		{"schedule/order", outbox.SQLite, read, `SELECT id, format, operation, at / 1000 * 1000, name, body`},
		{"schedule/superseded", outbox.SQLite, `ORDER BY id LIMIT 512`, `ORDER BY id LIMIT 1`},
		{"refusal/waits", outbox.PostgreSQL, `WHERE id = ANY \(\$1::bigint\[\]\)`, `WHERE id = ANY ($$1::bigint[]) OR true`},
		{"dead/event", outbox.SQLite, `SELECT id, written, \?`, `SELECT id, written, substr(?, 1, 0)`},
		{"dead/format", outbox.SQLite, `^SELECT id, format`, `SELECT id, 1`},
		{"dead/requeue", outbox.SQLite, `(SELECT format, .* WHERE id IN .*) ORDER BY id`, `$1 ORDER BY -id`},
		{"relay/repeats", outbox.SQLite, read + ` FROM (\S+) (.*)`, `DELETE FROM $1 WHERE id IN (SELECT id FROM $1 $2)
			RETURNING id, format, operation, at, name, body`},
		{"relay/removes", outbox.PostgreSQL, `WHERE id = ANY \(\$1::bigint\[\]\)`, `WHERE id = ANY ($$1::bigint[]) AND false`},
		{"relay/one", outbox.SQLite, `ends (-|<=)`, `0 $1`},
		{"relay/lease", outbox.SQLite, `holder = \? OR ends <=`, `holder = ? OR ends * 2 <=`},
		{"relay/stop", outbox.SQLite, `SET ends = 0 WHERE`, `SET ends = ends WHERE`},
		{"schema/together", outbox.PostgreSQL, `^SELECT pg_advisory_xact_lock\(.*\)`, `SELECT 1`},
		{"schema/newer", outbox.SQLite, `^SELECT version`, `SELECT 1`},
		{"schema/apart", outbox.SQLite, `outbox_[a-z0-9]+`, `outbox_x`},
		{"stats", outbox.SQLite, `min\(written\)`, `max(written)`},
	}
}

// defectVariable tells a child which defect to plant.
const defectVariable = "OUTBOX_TEST_DEFECT"

// The suite fails for each defect, by the rule that is meant to find it.
func TestRejectsDefects(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for i, d := range defects() {
		t.Run(fmt.Sprintf("%s %d", d.rule, i), func(t *testing.T) {
			t.Parallel()
			var run []string // a pattern for each level of names
			for part := range strings.SplitSeq("TestDefective/"+d.rule, "/") {
				run = append(run, "^"+part+"$")
			}
			child := exec.CommandContext(t.Context(), self, "-test.v", "-test.run", strings.Join(run, "/"))
			child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", defectVariable, i))
			out, err := child.CombinedOutput()
			require.Error(t, err, "the suite passes: %s", out)
			assert.Contains(t, string(out), "planted", "the pattern matches no statement")
			assert.Contains(t, string(out), "broken: "+d.rule)
		})
	}
}

// TestDefective is what the children run.
func TestDefective(t *testing.T) {
	var i int
	if _, err := fmt.Sscan(os.Getenv(defectVariable), &i); err != nil {
		return // no child
	}
	d := defects()[i]
	places := map[outbox.Dialect]func(testing.TB) place{outbox.PostgreSQL: onPostgreSQL, outbox.SQLite: onSQLite, outbox.MySQL: onMySQL}
	p := places[d.on](t)
	outboxtest.Run(t, outboxtest.Suite{
		Dialect: p.dialect, Schema: p.schema, Timeout: 3 * time.Second,
		Open: func(tb testing.TB) *sql.DB {
			db := sql.OpenDB(&editingConnector{db: p.open(tb), address: p.address, pattern: regexp.MustCompile(d.pattern), instead: d.instead})
			db.SetMaxOpenConns(40)
			tb.Cleanup(func() { _ = db.Close() })
			return db
		},
	})
}

// editingConnector makes connections that edit statements.
type editingConnector struct {
	db      *sql.DB
	address string
	pattern *regexp.Regexp
	instead string
}

func (c *editingConnector) Driver() driver.Driver { return c.db.Driver() }

func (c *editingConnector) Connect(context.Context) (driver.Conn, error) {
	under, err := c.db.Driver().Open(c.address)
	return &editingConn{Conn: under, connector: c}, err
}

type editingConn struct {
	driver.Conn
	connector *editingConnector
}

func (c *editingConn) edit(query string) string {
	edited := c.connector.pattern.ReplaceAllString(query, c.connector.instead)
	if edited != query {
		_, _ = fmt.Fprintln(os.Stderr, "planted")
	}
	return edited
}

func (c *editingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, c.edit(query), args)
}

func (c *editingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, c.edit(query), args)
}

func (c *editingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, c.edit(query))
}

func (c *editingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c *editingConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
