package outbox

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"
)

type mySQL struct{}

func (mySQL) quote(name string) string { return "`" + name + "`" }

func (mySQL) bind(query string) string { return query }

// now counts from UTC, so that no session's time zone is in it.
func (mySQL) now() string {
	return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"
}

// migrations end in the table that says which were made, because each statement commits for itself.
func (m mySQL) migrations(t tables) [][]string {
	return [][]string{{
		`CREATE TABLE IF NOT EXISTS ` + t.rows + ` (
	id        BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	written   BIGINT NOT NULL DEFAULT (` + m.now() + `),
	format    SMALLINT NOT NULL,
	operation SMALLINT NOT NULL,
	at        BIGINT,
	name      VARBINARY(255),
	body      MEDIUMBLOB
) ENGINE = InnoDB`,
		`CREATE TABLE IF NOT EXISTS ` + t.dead + ` (
	id        BIGINT NOT NULL PRIMARY KEY,
	written   BIGINT NOT NULL,
	died      BIGINT NOT NULL DEFAULT (` + m.now() + `),
	reason    VARCHAR(1000) NOT NULL,
	format    SMALLINT NOT NULL,
	operation SMALLINT NOT NULL,
	at        BIGINT,
	name      VARBINARY(255),
	body      MEDIUMBLOB
) ENGINE = InnoDB`,
		`CREATE TABLE IF NOT EXISTS ` + t.state + ` (
	one     SMALLINT NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	holder  VARCHAR(255) NOT NULL,
	ends    BIGINT NOT NULL
) ENGINE = InnoDB`,
		`INSERT IGNORE INTO ` + t.state + ` (one, version, holder, ends) VALUES (1, 1, '', 0)`,
	}}
}

func (mySQL) begin(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "DO GET_LOCK('tocsin_outbox', 60)")
	return err
}

func (mySQL) ends() (commit, rollback string) {
	return "DO RELEASE_LOCK('tocsin_outbox')", "DO RELEASE_LOCK('tocsin_outbox')"
}

func (mySQL) settings() string { return "" }

func (mySQL) installed(t tables) string {
	schema := "DATABASE()"
	if t.schema != "" {
		schema = "'" + t.schema + "'"
	}
	return `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ` + schema + ` AND table_name = '` + t.name + `'`
}

// openTransaction needs the privilege PROCESS; without it nothing is known.
func (mySQL) openTransaction(ctx context.Context, db *sql.DB) (openTransaction, error) {
	var t openTransaction
	var seconds int64
	err := db.QueryRowContext(ctx, `SELECT trx_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()), CONCAT('thread ', trx_mysql_thread_id)
FROM information_schema.innodb_trx WHERE trx_rows_modified > 0 ORDER BY trx_started LIMIT 1`).Scan(&t.id, &seconds, &t.session)
	if errors.Is(err, sql.ErrNoRows) {
		return openTransaction{}, nil
	}
	t.age = time.Duration(seconds) * time.Second
	return t, err
}

func (mySQL) feed(t tables) feed { return &headFeed{table: t.rows} }

// headFeed reads the rows of the lowest ids again and again, because ids are not in the order of commits and nothing
// else tells what is new. What it has read is deleted before it reads on.
type headFeed struct{ table string }

func (f *headFeed) next(ctx context.Context, db *sql.DB) ([]row, error) {
	p, err := readPage(ctx, db, `SELECT id, `+columns+` FROM `+f.table+` ORDER BY id LIMIT `+strconv.Itoa(maxRows))
	return p.rows, err
}

// remove looks each id up by its primary key: a DELETE with IN may scan the table, and then waits for the transactions
// whose rows lie between.
func (f *headFeed) remove(ctx context.Context, db *sql.DB, ids []int64) error {
	var all strings.Builder
	for i, id := range ids {
		if i > 0 {
			all.WriteString(" UNION ALL ")
		}
		all.WriteString("SELECT " + strconv.FormatInt(id, 10) + " AS id")
	}
	_, err := db.ExecContext(ctx, `DELETE r FROM (`+all.String()+`) done STRAIGHT_JOIN `+f.table+` r FORCE INDEX (PRIMARY) ON r.id = done.id`)
	return err
}

func (f *headFeed) flush(context.Context, *sql.DB) error { return nil }
