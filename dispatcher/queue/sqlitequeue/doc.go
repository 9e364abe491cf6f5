// Package sqlitequeue is a durable queue in a file: what Dispatch has acknowledged outlasts a crash of the process and a
// power cut, without a server beside the program and without cgo.
//
//	q, err := sqlitequeue.Open(ctx, "/var/lib/product/events.db", sqlitequeue.Options{})
//	engine, err := dispatcher.New(dispatcher.Config{Queue: q, DedupStore: q.Dedup(), Routes: routes})
//	…
//	err = engine.Shutdown(ctx) // first the engine,
//	err = q.Close()            // then its queue
//
// # What is promised
//
// A call returns once its change is on the disk: SQLite's write-ahead log with synchronous=FULL, one sync for all the calls
// that wait at the moment (group commit). A handler's place in its lane stays taken until the outcome is on the disk, too.
// So after kill -9 or a power cut nothing acknowledged is missing, and at most the jobs that ran, a lane's limit of them,
// run again.
//
// Ids are known for about the latest Options.IDWindow events, across restarts. A job with a time starts at most 50 ms late
// on a machine that has the time; Dispatch to send takes about one sync of the disk when there is little to do.
//
// # One process owns the file
//
// The leases of running jobs are in memory, which is what makes this queue fast, so a file belongs to one Queue at a time:
// a second one is a [*LockedError]. A process that ends in whatever way gives the file and all leases back. The file must be
// on a local disk; network file systems do not keep their promises about locks.
//
// Beside the file are its -wal and -shm while it is in use, and an empty -lock that may stay. A copy made while the program
// runs needs the file and its -wal at the same moment; "VACUUM INTO" with the sqlite3 tool does that. The file does not
// shrink by itself: room of jobs that are gone is used again.
//
// # Restarts
//
// Jobs of lanes that are not open wait for them, however long, so a version of the program without some route loses nothing
// of it. Attempts made, the times of retries, order by key, scheduled events with their keys, and dead letters outlast a
// restart. What is about a run of the program begins anew with it: the counters and FailingSince of Engine.Status, and
// the pace of a route's Rate, which starts as after a quiet time.
//
// A newer version of this package brings the file to its schema when it opens it. An older one then refuses the file with a
// [*SchemaError] and leaves it alone: keep a copy if you may have to go back.
//
// # When the file cannot be used
//
// Errors are of type [*StoreError] and say which of [ErrFull], [ErrReadOnly], [ErrCorrupt], [ErrIO], [ErrBusy] or [ErrOther]
// it is.
// Nothing is acknowledged that is not stored. While the disk is full, events are refused, outcomes wait with their jobs'
// places taken, and everything goes on by itself when there is room. A lane whose jobs cannot be read waits and is tried
// again every second; the others go on. Both are logged once when it begins and once when it is over.
//
// # Memory
//
// Of the jobs that wait, a window of at most 512 per lane is in memory, less when there are very many lanes. There is one
// goroutine for the file, and one for each handler that runs.
package sqlitequeue
