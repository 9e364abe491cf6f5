// Package outbox dispatches events if and only if the host's own transaction commits. Whoever commits a change and then
// calls Dispatch loses the event in a crash between the two; here the event is a row of the same transaction, and a
// [Relay] hands it to a Dispatcher afterwards.
//
//	box, err := outbox.New(outbox.PostgreSQL, outbox.Options{})
//	err = box.Migrate(ctx, db)
//
//	tx, err := db.BeginTx(ctx, nil)
//	…                                                    // the product's own change
//	err = box.Dispatch(ctx, outbox.SQL(tx), activated)   // pgx: outbox.PGX(tx)
//	err = tx.Commit()
//
//	relay, err := outbox.NewRelay(db, box, engine, outbox.RelayOptions{})
//	err = relay.Run(ctx)                                 // in each process; one of them relays
//
// The package imports no driver. It works with PostgreSQL, SQLite, and MySQL or MariaDB; package outboxtest checks a
// driver, a server or a pooler against what is promised here.
//
// # What is promised
//
// A committed row is handed over at least once, and none is skipped, however late its transaction commits. A row of a
// transaction that was rolled back is never handed over. A row is deleted after Dispatch has returned nil, so with an
// Engine an event is as safe as that one's queue: use a durable one. A relay that dies in between hands up to 512 rows
// over again (16,384 with SQLite while its file stays locked); an Engine skips the ids it knows.
//
// Rows are handed over in the order of their ids, one at a time. What was committed before another transaction wrote
// its row comes before it, so events of one subject are in order if the host changes the subject, or locks its row,
// before it calls Dispatch. Of several Schedule and Cancel of one key that wait together only the last has an effect.
//
// A Dispatcher that refuses is waited for, with pauses up to 5 s and a half: a *dispatcher.BacklogError, ErrShutdown,
// any error that is not permanent. All rows behind wait as well, which keeps their order. A route that is to hold up no
// others has a Backlog that drops the oldest, or a queue without bound. A row becomes a dead letter when the Dispatcher
// refuses it for good (*dispatcher.EventError, *dispatcher.ConflictError, *dispatcher.KeyError, errors.ErrUnsupported,
// what retry.Permanent marks), or when this program cannot read it, because a newer one wrote it. The others go on. See
// [Outbox.DeadLetters], [Outbox.Requeue] and [Outbox.Discard].
//
// # Which process relays
//
// A lease in the table with the suffix "_state", by the database's clock. When its holder dies, another process takes
// over within [RelayOptions].Lease and a second; when it ends, within a second. The holder stops before its lease ends,
// by its own clocks. One that stands still in the middle of a call finishes that call when it goes on: what it repeats
// is known, but a Schedule could then follow a Cancel that another process has handed over. One that stands still in
// the middle of a transaction keeps its rows locked: for 5 s with PostgreSQL, where its relay's transactions end then,
// and until it goes on with SQLite, or while it makes a dead letter with MySQL.
//
// # Database
//
// A Relay reads and deletes through db, and holds no connection while it waits or dispatches. It needs one or two at a
// time: a pool of its own keeps it apart from a host that uses all of its connections.
//
// PostgreSQL, 13 or newer: rows are found by transaction snapshots, so an open transaction holds up its own rows only.
// It does keep deleted rows from being vacuumed: the table grows meanwhile, but what is deleted is not read again, and
// the relay logs a transaction that stays open (RelayOptions.OpenTransaction). Autovacuum of the table is set to keep
// up. PgBouncer in transaction mode works: no statement needs a session. There, pgx must not use prepared statements of
// its own: default_query_exec_mode is to be exec, cache_describe or simple_protocol. After a failover rows may come
// again. The statements need these rights, besides USAGE of the schema; Migrate needs that to create tables:
//
//	the host:   INSERT on tocsin_outbox
//	the relay:  SELECT, DELETE on tocsin_outbox; SELECT, UPDATE on tocsin_outbox_state;
//	            SELECT, INSERT, DELETE on tocsin_outbox_dead; pg_monitor if the log is to name the open session
//	an operator who requeues: INSERT on tocsin_outbox; SELECT, DELETE on tocsin_outbox_dead
//	Stats and Check: SELECT on all three
//
// SQLite: the host's own file, best in WAL mode with a busy timeout. One transaction writes at a time, that of the
// relay included: it deletes what it handed over at most four times a second.
//
// MySQL and MariaDB: nothing tells which rows are new, so the relay reads from the lowest id and deletes what it handed
// over before it reads on. A transaction that stays open makes that slower, because InnoDB cannot purge what was
// deleted.
package outbox
