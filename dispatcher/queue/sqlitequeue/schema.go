package sqlitequeue

import (
	"context"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// migration is a step from one version of the schema to the next.
type migration struct {
	script string
	then   func(c *conn) error // what SQL cannot say; nil = nothing
}

// migrations lead from an empty file to the present schema, one step per version; user_version says how many were made.
// A step that was released is never changed. People may read the tables; only this package writes them.
//
// All times are nanoseconds since 1970. A job's due is 0 when it could start at once, heldBack when another job with
// its order key is before it, and its time otherwise; seq is its event's, so jobs of a lane are in the order enqueued.
func migrations() []migration {
	return []migration{{script: `
CREATE TABLE lane (
	num  INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;

-- An event, once per Dispatch, for as long as a job or a dead letter refers to it: body is its JSON form, byte for byte.
CREATE TABLE event (
	seq    INTEGER PRIMARY KEY,
	refs   INTEGER NOT NULL,
	format INTEGER NOT NULL,
	body   TEXT NOT NULL
) STRICT;

CREATE TABLE job (
	lane        INTEGER NOT NULL,
	due         INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	generation  INTEGER NOT NULL,
	enqueued    INTEGER,
	not_before  INTEGER,
	first_tried INTEGER,
	attempt     INTEGER NOT NULL,
	order_key   TEXT,
	name        TEXT,
	headers     BLOB,
	PRIMARY KEY (lane, due, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_order ON job (lane, order_key, seq) WHERE order_key IS NOT NULL;
CREATE INDEX job_name ON job (lane, name) WHERE name IS NOT NULL;

CREATE TABLE dead (
	num         INTEGER PRIMARY KEY AUTOINCREMENT,
	lane        INTEGER NOT NULL,
	job         TEXT NOT NULL,
	seq         INTEGER NOT NULL,
	generation  INTEGER NOT NULL,
	enqueued    INTEGER,
	not_before  INTEGER,
	first_tried INTEGER,
	attempt     INTEGER NOT NULL,
	order_key   TEXT,
	headers     BLOB,
	died        INTEGER NOT NULL,
	reason      TEXT NOT NULL
) STRICT;
CREATE INDEX dead_lane ON dead (lane, num);
CREATE INDEX dead_job ON dead (job);

-- The window of known job ids: a row per group commit, entries as package-private bytes.
CREATE TABLE known (
	num     INTEGER PRIMARY KEY,
	entries BLOB NOT NULL
) STRICT;

-- Keys that end: what was delivered (dedup), and references to messages.
CREATE TABLE record (
	kind  INTEGER NOT NULL,
	key   BLOB NOT NULL,
	value BLOB,
	ends  INTEGER NOT NULL,
	PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_ends ON record (ends);
`}, {script: `
-- What was tried: entries of history.Store. detail is history.Entry as JSON, without its event.
CREATE TABLE history (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT,
	time    INTEGER NOT NULL,
	tenant  TEXT NOT NULL,
	route   TEXT NOT NULL,
	told    INTEGER NOT NULL,
	type    TEXT NOT NULL,
	subject TEXT NOT NULL,
	outcome TEXT NOT NULL,
	status  INTEGER NOT NULL,
	detail  TEXT NOT NULL
) STRICT;
CREATE INDEX history_route ON history (tenant, route, seq);
CREATE INDEX history_subject ON history (subject, seq);
CREATE INDEX history_told ON history (told);
CREATE INDEX history_time ON history (time);

-- The events in history, each once: body is its JSON form, byte for byte.
CREATE TABLE told (
	num    INTEGER PRIMARY KEY,
	id     TEXT NOT NULL,
	refs   INTEGER NOT NULL,
	format INTEGER NOT NULL,
	body   TEXT NOT NULL
) STRICT;
CREATE INDEX told_id ON told (id);
`}, {script: `
-- urgent jobs start before the others. pause says that due counts from the end of an attempt, and is no time of its own.
ALTER TABLE job ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN pause INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_urgent ON job (lane, due) WHERE urgent = 1;
`}, {script: `
-- ends is when a dead letter has reached its age; NULL = never.
ALTER TABLE dead ADD COLUMN ends INTEGER;
CREATE INDEX dead_ends ON dead (ends) WHERE ends IS NOT NULL;
CREATE INDEX job_later ON job (lane, seq) WHERE due > 0 AND due < 9223372036854775807;
`, then: nameLanesByIdentity}, {script: historyByTenant}, {script: `
-- Tenants' documents of manage.Documents. A deleted one stays as a row, so that its revisions go on.
CREATE TABLE document (
	num      INTEGER PRIMARY KEY,
	tenant   BLOB NOT NULL UNIQUE,
	revision INTEGER NOT NULL,
	deleted  INTEGER NOT NULL,
	content  BLOB NOT NULL
) STRICT;
CREATE INDEX document_list ON document (tenant, revision) WHERE deleted = 0;
`}}
}

// historyByTenant limits each tenant's history, and keeps pages of it away from the rows of other tenants and from
// those that they do not show. bytes is history.Entry.Size; of entries that were there before it is about that.
const historyByTenant = `
ALTER TABLE history ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE history SET bytes = octet_length(detail) + (SELECT octet_length(body) FROM told WHERE told.num = history.told);

-- How much each tenant has in history.
CREATE TABLE history_tenant (
	tenant  TEXT PRIMARY KEY,
	entries INTEGER NOT NULL,
	bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO history_tenant SELECT tenant, count(*), sum(bytes) FROM history GROUP BY tenant;

DROP INDEX history_route;
DROP INDEX history_subject;
DROP INDEX history_time;
CREATE INDEX history_route ON history (tenant, route, seq, time, type, outcome, status);
CREATE INDEX history_owner ON history (tenant, seq, time, type, outcome, status);
CREATE INDEX history_subject ON history (subject, tenant);
CREATE INDEX history_time ON history (time, outcome);
`

// migrate brings the file to the newest schema, all steps or none. A newer file is a *SchemaError, and left alone.
func migrate(c *conn, path string, steps []migration) error {
	version, err := schemaVersion(c)
	if err != nil {
		return err
	}
	if version > len(steps) {
		return &SchemaError{Path: path, Found: version, Known: len(steps)}
	}
	// Also without a step to make, so that a file that cannot be written is found now and not by the first event. A
	// full disk is no reason not to open it.
	if err := c.script("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for i := version; i < len(steps) && err == nil; i++ {
		err = c.script(steps[i].script)
		if then := steps[i].then; err == nil && then != nil {
			err = then(c)
		}
	}
	if err == nil {
		err = c.script(fmt.Sprintf("PRAGMA user_version = %d", len(steps)))
	}
	if err == nil {
		err = c.script("COMMIT")
	}
	if err != nil {
		_ = c.script("ROLLBACK") // the first error is the one that counts
	}
	if version == len(steps) && code(err)&primary == sqlite3.SQLITE_FULL {
		return nil
	}
	return err
}

func schemaVersion(c *conn) (int, error) {
	n, err := c.number("PRAGMA user_version")
	return int(n), err
}

// openWriter opens the writing connection and brings the schema up to date.
func openWriter(ctx context.Context, name, path string, v volume) (*conn, error) {
	c, err := connect(ctx, name)
	if err != nil {
		return nil, err
	}
	err = c.script(pragmas)
	if err == nil {
		// A look before the first write: the journal mode of a file that is not ours to write must stay as it is.
		var version int
		if version, err = schemaVersion(c); err == nil && version > len(migrations()) {
			err = &SchemaError{Path: path, Found: version, Known: len(migrations())}
		}
	}
	if err == nil {
		err = setWAL(c, v)
	}
	if err == nil {
		err = migrate(c, path, migrations())
	}
	if err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

// setWAL turns the write-ahead log on. Its file and that of the shared memory stay when the queue is closed, emptied,
// so that it can be opened on a full disk.
func setWAL(c *conn, v volume) error {
	mode, err := c.pragma("journal_mode = WAL")
	if err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("journal mode is %q, not WAL: the file system lacks shared memory", mode)
	}
	files, ok := c.raw.(sqlite.FileControl)
	if !ok {
		return errDriver
	}
	if _, err := files.FileControlPersistWAL("main", 1); err != nil {
		return err
	}
	return c.script(fmt.Sprintf("PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d", v.logPages, v.logBytes()))
}
