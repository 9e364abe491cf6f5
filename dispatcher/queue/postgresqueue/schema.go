package postgresqueue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrations lead from an empty schema to the present one, one step per version; the table version says how many were
// made. A step that was released is never changed, and adds only: other processes may still run the version before.
// People may read the tables; only this package writes them.
//
// All times that are numbers are nanoseconds since 1970 by the server's clock. A job's due is 0 when it could start at
// once, heldBack when another job with its order key is before it, and its time otherwise; seq is its event's.
func migrations() []string {
	return []string{`
-- An incarnation of a process that serves lanes. Numbers are never used again, so they are epochs too. moved grows when
-- somebody else gives it a lane.
CREATE TABLE tocsin.worker (
	id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	ends  timestamptz NOT NULL,
	moved bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE tocsin.lane (
	num   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name  text COLLATE "C" NOT NULL UNIQUE,
	owner bigint -- a worker; NULL = nobody's
) WITH (fillfactor = 50);
CREATE INDEX lane_owner ON tocsin.lane (owner) WHERE owner IS NOT NULL;

-- Which worker has which lane open.
CREATE TABLE tocsin.want (
	lane   int NOT NULL,
	worker bigint NOT NULL,
	PRIMARY KEY (lane, worker)
);
CREATE INDEX want_worker ON tocsin.want (worker);

-- What only the owner of a lane can do, asked for by another process.
CREATE TABLE tocsin.request (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	lane   int NOT NULL,
	key    bytea,           -- the schedule key to cancel; NULL = purge the lane
	below  bigint NOT NULL, -- only jobs with numbers below this
	waits  bool NOT NULL,   -- somebody waits for the answer
	made   timestamptz NOT NULL DEFAULT clock_timestamp(),
	answer bigint           -- how many jobs were removed
);

-- Each value is the first of a thousand numbers of events. CACHE 1: the order of keys depends on it.
CREATE SEQUENCE tocsin.event_seq INCREMENT BY 1000;

-- An event, once per Dispatch, for as long as a job or a dead letter refers to it: body is its JSON form, byte for byte.
CREATE TABLE tocsin.event (
	seq    bigint PRIMARY KEY,
	xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
	worker bigint NOT NULL, -- that handed its jobs over itself; 0 = none
	keyed  bool NOT NULL,   -- a job has an order key
	jobs   int NOT NULL,    -- that it was stored with
	format smallint NOT NULL,
	body   bytea NOT NULL
);
CREATE INDEX event_xid ON tocsin.event (xid);

CREATE TABLE tocsin.job (
	seq         bigint NOT NULL,
	lane        int NOT NULL,
	due         bigint NOT NULL,
	generation  bigint NOT NULL,
	enqueued    bigint,
	not_before  bigint,
	first_tried bigint,
	attempt     int NOT NULL,
	order_key   bytea,
	name        bytea,
	headers     bytea,
	urgent      bool NOT NULL,
	PRIMARY KEY (seq, lane)
);
CREATE INDEX job_lane ON tocsin.job (lane, due, seq);
CREATE INDEX job_order ON tocsin.job (lane, order_key, seq) WHERE order_key IS NOT NULL;
CREATE INDEX job_active ON tocsin.job (lane, order_key, seq) WHERE order_key IS NOT NULL AND due < 9223372036854775807;
CREATE INDEX job_name ON tocsin.job (lane, name) WHERE name IS NOT NULL;
CREATE INDEX job_urgent ON tocsin.job (lane, due, seq) WHERE urgent AND order_key IS NULL;

CREATE TABLE tocsin.dead (
	num         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	lane        int NOT NULL,
	job         text NOT NULL,
	seq         bigint NOT NULL,
	generation  bigint NOT NULL,
	enqueued    bigint,
	not_before  bigint,
	first_tried bigint,
	attempt     int NOT NULL,
	order_key   bytea,
	headers     bytea,
	urgent      bool NOT NULL,
	died        bigint NOT NULL,
	ends        bigint, -- NULL = never
	reason      text NOT NULL
);
CREATE INDEX dead_lane ON tocsin.dead (lane, num);
CREATE INDEX dead_job ON tocsin.dead (job);
CREATE INDEX dead_seq ON tocsin.dead (seq);
CREATE INDEX dead_ends ON tocsin.dead (ends) WHERE ends IS NOT NULL;

-- How many jobs and dead letters a lane has: the sum of its rows. Each connection changes one of its own, so that nobody
-- waits for another's, and another one every five seconds: a row has no more versions then, which a long transaction
-- keeps from being removed, than an update can pass by. Triggers keep it, whoever changes the tables.
CREATE TABLE tocsin.tally (
	lane int NOT NULL,
	slot bigint NOT NULL, -- of time (the upper half) and connection; 0 = of those before
	jobs bigint NOT NULL,
	dead bigint NOT NULL,
	PRIMARY KEY (lane, slot)
) WITH (fillfactor = 50);
CREATE FUNCTION tocsin.count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO tocsin.tally AS t (lane, slot, jobs, dead)
		SELECT c.lane, (extract(epoch FROM clock_timestamp())::bigint / 5 << 32) + pg_backend_pid(), CASE TG_TABLE_NAME WHEN 'job' THEN c.n ELSE 0 END, CASE TG_TABLE_NAME WHEN 'dead' THEN c.n ELSE 0 END
		FROM (SELECT lane, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END AS n FROM changed GROUP BY lane ORDER BY lane) c
		ON CONFLICT (lane, slot) DO UPDATE SET jobs = t.jobs + EXCLUDED.jobs, dead = t.dead + EXCLUDED.dead;
	RETURN NULL;
END $$;
CREATE TRIGGER job_added AFTER INSERT ON tocsin.job REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tocsin.count_changed();
CREATE TRIGGER job_removed AFTER DELETE ON tocsin.job REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tocsin.count_changed();
CREATE TRIGGER dead_added AFTER INSERT ON tocsin.dead REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tocsin.count_changed();
CREATE TRIGGER dead_removed AFTER DELETE ON tocsin.dead REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tocsin.count_changed();

-- Removes jobs of a worker's lanes, each with its event if that was stored with no other job. It returns the other events,
-- and those of the lanes nums that are the worker's, which they stay until the end of the transaction: who takes a lane
-- over removes its owner first, and waits for the lock. As a function it is planned once per connection, not each time.
CREATE FUNCTION tocsin.remove_done(worker bigint, seqs bigint[], lanes int[], nums int[]) RETURNS TABLE (seq bigint, num int)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH w AS MATERIALIZED (SELECT id FROM tocsin.worker WHERE id = remove_done.worker FOR KEY SHARE),
		own AS MATERIALIZED (SELECT l.num FROM w JOIN tocsin.lane l ON l.owner = w.id WHERE l.num = ANY(nums)),
		gone AS (DELETE FROM tocsin.job j USING unnest(seqs, lanes) d(seq, lane)
			WHERE j.seq = d.seq AND j.lane = d.lane AND d.lane IN (SELECT o.num FROM own o) RETURNING j.seq),
		sole AS (DELETE FROM tocsin.event e USING gone g WHERE e.seq = g.seq AND e.jobs = 1 RETURNING e.seq)
	SELECT g.seq, NULL::int FROM gone g WHERE g.seq NOT IN (SELECT s.seq FROM sole s) UNION ALL SELECT NULL, o.num FROM own o;
END $$;

-- Ids that are known: key is a digest of event id and generation, lanes the numbers of those that got it, four bytes each.
CREATE TABLE tocsin.known (
	key    uuid PRIMARY KEY,
	digest bigint NOT NULL,
	lanes  bytea NOT NULL,
	at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX known_at ON tocsin.known (at);

-- Keys that end: what was delivered or is being (dedup), and who has got a mail. token is a claim's.
CREATE TABLE tocsin.record (
	kind  smallint NOT NULL,
	key   bytea NOT NULL,
	value bytea,
	token uuid,
	ends  timestamptz NOT NULL,
	PRIMARY KEY (kind, key)
);
CREATE INDEX record_ends ON tocsin.record (ends);

-- What was tried: entries of history.Store. detail is history.Entry as JSON, without its event; bytes is its Size.
CREATE TABLE tocsin.history (
	seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	time    bigint NOT NULL,
	tenant  text COLLATE "C" NOT NULL,
	route   text COLLATE "C" NOT NULL,
	told    bigint NOT NULL,
	type    text NOT NULL,
	subject text COLLATE "C" NOT NULL,
	outcome text NOT NULL,
	status  int NOT NULL,
	detail  bytea NOT NULL,
	bytes   bigint NOT NULL
);
CREATE INDEX history_route ON tocsin.history (tenant, route, seq);
CREATE INDEX history_owner ON tocsin.history (tenant, seq);
CREATE INDEX history_subject ON tocsin.history (subject, tenant, seq);
CREATE INDEX history_told ON tocsin.history (told);
CREATE INDEX history_time ON tocsin.history (time, tenant);

-- The events in history, each once: digest tells those with the same id apart, refs counts the entries.
CREATE TABLE tocsin.told (
	num    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id     text COLLATE "C" NOT NULL,
	digest bytea NOT NULL,
	refs   bigint NOT NULL,
	format smallint NOT NULL,
	body   bytea NOT NULL,
	UNIQUE (id, digest)
);

-- How much each tenant has in history.
CREATE TABLE tocsin.history_tenant (
	tenant  text COLLATE "C" PRIMARY KEY,
	entries bigint NOT NULL,
	bytes   bigint NOT NULL
);

-- Rows live for seconds: vacuum by number, not by share, and without pauses.
ALTER TABLE tocsin.event SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tocsin.job SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tocsin.known SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tocsin.record SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tocsin.tally SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tocsin.worker SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
ALTER TABLE tocsin.lane SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);
ALTER TABLE tocsin.request SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
`}
}

// migrationLock is the key of the advisory lock under which schemas are migrated.
const migrationLock = 0x746f6373696e // "tocsin"

// Migrate makes the schema, or brings it to this version, all steps or none. Any number of processes may call it at the
// same time. Open does so too, unless Options.NoMigration says that a role with more rights does it before. The role
// needs CREATE on the database, or a schema that it owns.
//
// A schema of a newer version is a *SchemaError, and left alone.
func Migrate(ctx context.Context, config *pgxpool.Config, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	d, err := openDatabase(ctx, config, o)
	if err == nil {
		defer d.close()
		err = d.migrate(ctx, migrations())
	}
	return storeError("migrate the schema", err)
}

func (d *database) migrate(ctx context.Context, steps []string) error {
	if version, err := d.version(ctx); err == nil && version == len(steps) {
		return nil // without a lock, and without the right to make anything
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Simple protocol: a step is many statements.
		exec := func(text string, args ...any) error {
			_, err := tx.Exec(ctx, d.text(text), append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
			return err
		}
		if err := exec("SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		var have bool
		if err := tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", pgx.Identifier{d.schema}.Sanitize()).Scan(&have); err != nil {
			return err
		}
		if !have {
			if err := exec("CREATE SCHEMA " + pgx.Identifier{d.schema}.Sanitize()); err != nil {
				return err
			}
		}
		err := exec("CREATE TABLE IF NOT EXISTS tocsin.version (one bool PRIMARY KEY DEFAULT true CHECK (one), num int NOT NULL)")
		if err != nil {
			return err
		}
		version := 0
		if err := tx.QueryRow(ctx, d.text("SELECT coalesce((SELECT num FROM tocsin.version), 0)")).Scan(&version); err != nil {
			return err
		}
		if version > len(steps) {
			return &SchemaError{Schema: d.schema, Found: version, Known: len(steps)}
		}
		for i := version; i < len(steps); i++ {
			if err := exec(steps[i]); err != nil {
				return fmt.Errorf("version %d: %w", i+1, err)
			}
		}
		return exec("INSERT INTO tocsin.version (num) VALUES ($1) ON CONFLICT (one) DO UPDATE SET num = EXCLUDED.num", len(steps))
	})
}

// version is that of the schema.
func (d *database) version(ctx context.Context) (num int, err error) {
	b := d.batch()
	b.add("SELECT num FROM tocsin.version").QueryRow(func(row pgx.Row) error { return row.Scan(&num) })
	return num, d.read(ctx, b)
}

// check makes sure that the schema is of this version, or of a later one that only adds.
func (d *database) check(ctx context.Context) error {
	switch version, err := d.version(ctx); {
	case err != nil:
		return err
	case version > len(migrations()):
		return &SchemaError{Schema: d.schema, Found: version, Known: len(migrations())}
	case version < len(migrations()):
		return errOldSchema
	}
	return nil
}

var errOldSchema = fmt.Errorf("postgresqueue: the schema is older than this program: call Migrate first")
