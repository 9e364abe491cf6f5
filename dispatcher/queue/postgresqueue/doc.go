// Package postgresqueue is a durable queue in a PostgreSQL database, which any number of processes share: what Dispatch
// has acknowledged outlasts a crash of the process and of the server, and another process goes on where one has died.
//
//	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
//	q, err := postgresqueue.Open(ctx, config, postgresqueue.Options{})
//	engine, err := dispatcher.New(dispatcher.Config{Queue: q, DedupStore: q.Dedup(), Routes: routes})
//	…
//	err = engine.Shutdown(ctx) // first the engine,
//	err = q.Close()            // then its queue
//
// It needs PostgreSQL 14 or newer, and no extension. It works through poolers in transaction mode, such as pgbouncer:
// nothing that it uses outlasts a transaction.
//
// # Lanes have an owner
//
// A lane belongs to one process at a time, of those that have it open. So the order of keys, Limit, Admit, and with it
// a route's Rate, breaker and Retry-After, hold across processes. Nothing is written to start a job: that its owner has
// it in memory is its claim.
//
// A process that has lanes open has a lease, Options.Lease long, by the server's clock. It renews the lease three times
// as often. When processes come and go, lanes move, a few at a time, until each has its share: a lane moves once none
// of its handlers runs. Stop and Close hand lanes over at once. When a process dies, another has its lanes at most two
// seconds after the lease has ended, and the jobs that ran run again.
//
// A process that cannot renew its lease stops starting jobs and cancels its handlers before the lease ends, by its own
// clock, counted from when it last asked. If it was stopped meanwhile (SIGSTOP, a machine that sleeps), what its
// handlers were doing may overlap with what the new owner does; their outcomes are refused.
//
// # Roles
//
// Every process makes its Engine with the same routes. One that only dispatches never opens a lane: it never calls Run,
// needs no lease and asks the server for nothing while it is idle. Cancel and Purge of a lane that another process has
// are done there, which takes about 100 ms.
//
// # What is promised
//
// A call returns once its change is committed, one commit for all the calls that wait at the moment (group commit), and
// is as durable as synchronous_commit of the role or database says; leave it on. A handler's place in its lane stays
// taken until the outcome is committed, too. So nothing acknowledged is lost, and at most the jobs that ran run again.
// When the connection is lost during a commit, nobody knows whether it was made: the call fails, and it is safe to
// repeat it.
//
// Ids are known for Options.IDWindow, 24 hours, in all processes. A job with a time starts at most 100 ms late on a
// machine that has the time. Jobs that another process enqueued are found within 50 ms. Jobs with equal OrderKey run
// one at a time, and those that one process enqueued, or one after the other had returned, in that order.
//
// Times are the server's, so the clocks of the processes need not agree. A NotBefore is a time of the server's clock.
//
// A lane's bound and that of its group count what all processes have stored; of jobs that run in another process they
// do not know, and of what others of the group have done they learn within a second. A lane that drops its oldest
// drops, where another process owns it, soon after the new job was accepted.
//
// # When the database cannot be used
//
// Errors are of type [*StoreError] and say which of [ErrConnection], [ErrReadOnly], [ErrPermission], [ErrSchema],
// [ErrFull] or [ErrOther] it is. They hold no address, user name or password, nor does the log. Nothing is acknowledged
// that is not committed. When the connection was lost, the server restarted, or another one was promoted, calls fail
// until it answers; outcomes wait with their jobs' places taken; then lanes are read anew. That ends by itself and is
// logged once when it begins and once when it is over. A standby that was promoted without what the primary had
// acknowledged last has lost that: use synchronous replication if it must not.
//
// # Schema
//
// Tables are in a schema of their own, Options.Schema. Open makes it and brings it to this version; any number of
// processes may do so at once. A newer schema is a [*SchemaError], and left alone. A version only adds to the schema,
// so processes of the version before go on meanwhile. With Options.NoMigration another role calls [Migrate] before, and
// the queue's role needs no more than this:
//
//	GRANT USAGE ON SCHEMA tocsin TO product;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tocsin TO product;
//	GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA tocsin TO product;
//
// Events are stored once per Dispatch, and deleted with the last of their jobs. The tables of jobs are vacuumed often,
// by settings of their own. While any transaction of the database is open for long, dead rows cannot be removed and the
// tables grow; new jobs are read as fast as before, because nothing looks at the rows that are behind, and room is used
// again afterwards. Alarm on transactions that stay open.
//
// # Memory and connections
//
// Of the jobs that wait, a window of at most 512 per lane is in memory, of the lanes of this process; less when there
// are very many lanes. Events that several lanes have are kept for them, 4 MiB at most.
//
// The queue has a pool of connections of its own, of four at least: one for the goroutine that writes, one for the
// lease, and the others for those who ask. An idle process with open lanes asks the server about twenty times a second,
// however many lanes there are.
package postgresqueue
