// Package durable is a queue whose jobs are in a [Store]: the scheduler of package lanes over a window of them. A Store
// is SQL and little else; whatever is about running jobs is here or in the scheduler.
//
// # One writer
//
// One goroutine calls the store, apart from inspection. It takes all the calls that wait, applies them in one
// transaction, and answers them once that is durable (group commit). All that is in one transaction was called at the
// same time, so the writer may group it: the outcomes first, then what cancels, schedules, purges or requeues in the
// order of the calls, then new events. Large calls have transactions of their own, which take turns with those of the
// small ones: whoever stores one event waits for one large call at most, not for all that others make. When a
// transaction fails that could be one call's fault, its halves are tried, down to that call.
//
// Between transactions the same goroutine reads ahead. So a load never races with a change, and which jobs are in
// memory (Lane.held) needs no lock: they come in by a load or a commit and leave by a commit, or all of them once their
// lane is closed, all of which the writer does. Workers only start jobs that wait in memory; a cancellation therefore
// asks the lane for a job that is held before it is deleted, and puts it back if the transaction fails.
//
// # A job's way
//
// The store gives a job its number and says when it may start: at once, at a time, or when the job before it with its
// order key is gone. An open lane has a window of the first kind in memory, as lanes.Entry, from its cursor back; a new
// job is handed over directly if nothing in the store has to go first and the window has room. The scheduler asks for a
// load when a quarter of the window is left, and when the next time of a job in the store comes. Jobs with a later
// time, retries included, are in the store only. A job that an order key held back is handed over by the commit that
// removes the one before it, which is the only one of its key in memory until then.
//
// A worker keeps its place in the lane until the outcome is durable. Being in memory is a job's claim: nothing is
// written to start one, and a crash frees them all.
//
// # Bounds
//
// What a lane holds is counted in memory, from the rows when the queue is opened, and by each transaction once it is
// stored. So a bound costs no query, and is right after a crash. Before a job is stored the writer asks whether its
// lane and group have room (transaction.room), and drops the oldest one where the bound says so: the least number of
// those that may start at once, wait for their times, or are held back, each of which a store has in order. Dead
// letters beyond the bound leave with the transaction that adds one, aged ones by the store's housekeeping.
//
// A lane that is closed and has neither jobs nor dead letters is forgotten, here and in the store, with some others at
// a time. Ids stay known by the lane's key, which is of its name, so it does not matter which number it gets later.
//
// # Clock
//
// The store keeps times of the wall clock. When that is set, the writer moves what counts from a moment of this run,
// ages and pauses, in the store before it does anything else, and has every lane read its times again.
//
// # What a Store must do
//
// [Store] and [Tx] are all there is. Ids that are known are the store's: SQLite looks them up in a window in memory, a
// database that several processes share asks a table. Numbers of jobs grow in the order of Append.
package durable
