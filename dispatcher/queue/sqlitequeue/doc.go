// Package sqlitequeue is a durable queue in a file: what Dispatch has acknowledged outlasts a crash of the process and
// a power cut, without a server beside the program and without cgo.
//
//	q, err := sqlitequeue.Open(ctx, "/var/lib/product/events.db", sqlitequeue.Options{})
//	engine, err := dispatcher.New(dispatcher.Config{Queue: q, DedupStore: q.Dedup(), Routes: routes})
//	…
//	err = engine.Shutdown(ctx) // first the engine,
//	err = q.Close()            // then its queue
//
// # What is promised
//
// A call returns once its change is on the disk: SQLite's write-ahead log with synchronous=FULL, one sync for all the
// calls that wait at the moment (group commit). A handler's place in its lane stays taken until the outcome is on the
// disk, too. So after kill -9 or a power cut nothing acknowledged is missing, and at most the jobs that ran, a lane's
// limit of them, run again.
//
// Ids are known for about the latest Options.IDWindow events, across restarts. A job with a time starts at most 50 ms
// late on a machine that has the time; Dispatch to send takes about one sync of the disk when there is little to do.
//
// A call with very many events is stored in several transactions, so that others are not held up; see [Queue.Enqueue].
// Urgent jobs without an order key start before the others of their lane, however many of those wait.
//
// # What is bounded
//
// Bounds of lanes and groups are honoured, and cost the same however many jobs wait; a lane without one takes what the
// disk holds. A lane keeps queue.DefaultDeadLetters dead letters for Options.DeadAge, unless its bound says otherwise;
// they are removed within seconds of their time, whether or not anything is stored. Lanes that are closed and hold
// nothing leave neither rows nor memory. A lane's work waits for one transaction of others, of a thousand rows at most.
//
// # What else is in the file
//
// What was delivered ([Queue.Dedup]), what was tried ([Queue.History]), references to messages, and tenants' documents
// ([Queue.Documents]).
//
// # One process owns the file
//
// The leases of running jobs are in memory, which is what makes this queue fast, so a file belongs to one Queue at a
// time: a second one is a [*LockedError], in the same process or another one, whether it uses the same name, a symbolic
// link, or a name the file was given since. On Linux the file itself is locked, so neither removing the -lock beside it
// nor reading and closing either in the owner's process opens it to others; elsewhere it is the -lock that counts. A
// file with several names (hard links) is a [*LinkedError]. A process that ends in whatever way gives the file and all
// leases back. The file must be on a local disk; network file systems do not keep their promises about locks.
//
// Beside the file are its -wal and -shm, and an empty -lock; all may stay after Close. A copy made while the program
// runs needs the file and its -wal at the same moment; "VACUUM INTO" with the sqlite3 tool does that. The file does not
// shrink by itself: room of jobs that are gone is used again.
//
// When the file, its -wal or its -shm is removed, renamed or replaced while the queue is open, nothing is acknowledged
// any more: every change is an [ErrMoved], and so is Close. Before each acknowledgment the queue looks whether they are
// there.
//
// # Restarts
//
// Jobs of lanes that are not open wait for them, however long, so a version of the program without some route loses
// nothing of it. Attempts made, the times of retries, order by key, scheduled events with their keys, and dead letters
// outlast a restart. What is about a run of the program begins anew with it: the counters and FailingSince of
// Engine.Status, and the pace of a route's Rate, which starts as after an idle time.
//
// A newer version of this package brings the file to its schema when it opens it. An older one then refuses the file
// with a [*SchemaError] and leaves it alone: keep a copy if you may have to go back.
//
// # When the file cannot be used
//
// Errors are of type [*StoreError] and say which of [ErrFull], [ErrReadOnly], [ErrCorrupt], [ErrIO], [ErrBusy],
// [ErrMoved] or [ErrOther] it is.
// Nothing is acknowledged that is not stored. A lane whose jobs cannot be read waits and is tried again every second;
// the others go on. Both are logged once when it begins and once when it is over.
//
// Outcomes take room, too. So on Linux, macOS and Windows new events, and entries of the history, are refused with
// [ErrFull] while there is still room for the outcomes of those that wait: a disk that the queue has filled drains, and
// then takes events again. When others fill the disk to the last byte, outcomes wait with their jobs' places taken, and
// everything goes on by itself when there is room. A full disk does not keep a file from being opened, unless a newer
// version has to change its schema.
//
// What is kept free, and how long the log becomes, goes by the size of the disk: from 512 MiB on about 50 MiB in all, a
// tenth of a smaller one. The least is 12 MiB, which takes some ten thousand events of 1 KiB at a time.
//
// # Clocks
//
// The file keeps times of the wall clock, which may be set while the program runs. A pause after an attempt is over
// after its time or, if that is earlier, when the wall clock says so; a time that a job was given as such counts by the
// wall clock, also after a machine has slept. Both within seconds of the change. The ages of jobs that were enqueued in
// this run of the program do not change when the clock is set.
//
// # Memory
//
// Of the jobs that wait, a window of at most 512 per open lane is in memory, and as many urgent ones; less when very
// many lanes are open. There is one goroutine for the file, and one for each handler that runs.
package sqlitequeue
