// Package queue defines where deliveries wait: jobs in lanes, one lane per route, each with its own backlog, order and
// concurrency. Package memoryqueue is the queue of a single process; durable ones are modules of their own. All pass
// the conformance suite, package queuetest.
package queue

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// Queue stores jobs, runs a handler for each, and lets people look at what it holds. All methods are safe for
// concurrent use. What a queue cannot do is said by Properties.
type Queue interface {
	// Enqueue stores jobs; nil means stored as Properties promises. A job whose id is known (within the window that
	// Properties states) is skipped, so enqueueing again after an error is safe. A known event id with other data is a
	// *ConflictError; lanes without room are named by a *BacklogError while the other lanes got their jobs. Of such a
	// lane, all jobs behind the first refused one are refused, so that enqueueing again keeps the order. Jobs of a lane
	// that is not open wait for it.
	Enqueue(ctx context.Context, jobs ...Job) error
	// Open starts serving a lane and returns at once; h is called for each job, at most o.Limit at a time. Jobs with
	// equal OrderKey run one at a time in the order enqueued, and one that is to be retried holds its followers back. A
	// crash before an outcome is applied runs the job again. A lane that is open already is ErrLaneOpen.
	Open(lane string, o LaneOptions, h Handler) (Lane, error)
	// Bound limits what a lane holds. It may be called before the lane is opened and again at any time, and is
	// forgotten with the process and with the lane: a lane is forgotten once it is closed and holds nothing. A lower
	// bound drops nothing that waits. What of it has an effect is said by Properties.Bounded and
	// Properties.DeadBounded.
	Bound(lane string, b Bound)
	// Schedule stores j under a key that is unique in j's lane, until its NotBefore. A job with the same key that has
	// not started is replaced. Without Properties.Scheduling it returns errors.ErrUnsupported, and so does Cancel.
	Schedule(ctx context.Context, key string, j Job) error
	// Cancel removes the job with this key and reports whether there was one that had not started. One that was only
	// postponed has not started.
	Cancel(ctx context.Context, lane, key string) (bool, error)

	// Lanes lists every lane that is open or holds something, sorted. Without Properties.Inspection it returns
	// errors.ErrUnsupported, and so do the methods below.
	Lanes(ctx context.Context) ([]string, error)
	// Count counts the jobs of a lane.
	Count(ctx context.Context, lane string) (Counts, error)
	// Purge removes the waiting jobs of a lane and reports how many there were. Running ones finish.
	Purge(ctx context.Context, lane string) (int, error)
	// DeadLetters lists the selected dead letters, the earliest first.
	DeadLetters(ctx context.Context, s Selection) ([]DeadLetter, error)
	// Requeue gives the selected dead letters back to their lanes as new jobs of this generation, with no attempts made
	// and as old as now, whatever the bound. It reports how many.
	Requeue(ctx context.Context, s Selection, generation int64) (int, error)
	// Discard removes the selected dead letters for good and reports how many.
	Discard(ctx context.Context, s Selection) (int, error)

	// Properties says what this queue promises.
	Properties() Properties
}

// Properties are a queue's promises.
type Properties struct {
	Durable    bool          // jobs survive the process
	Precision  time.Duration // a job starts at most this much after its time, when its lane has room
	IDWindow   string        // how long a job id is known, for people to read
	KeyedOrder bool          // OrderKey is honoured; otherwise only a lane as a whole can be ordered, by Limit 1
	Urgency    bool          // Job.Urgent is honoured; otherwise it changes nothing
	// Bounded says that Bound is honoured for jobs that wait: Jobs, Group and GroupJobs, DropOldest, Keep and Dropped.
	// Otherwise the storage is the bound.
	Bounded bool
	// DeadBounded says that Bound is honoured for dead letters: DeadLetters and DeadLetterAge. Otherwise the queue's
	// own configuration says how many are kept.
	DeadBounded bool
	Scheduling  bool // Schedule and Cancel are supported
	Inspection  bool // Lanes, Count, Purge, DeadLetters, Requeue and Discard are supported
	// MovedTimes says that Job.Enqueued and FirstTried move with the wall clock when that is set, so that an age is the
	// difference from it. Otherwise they are what the clock showed then.
	MovedTimes bool
}

// LaneOptions configure an opened lane.
type LaneOptions struct {
	Limit int // handlers at a time; 0 = paused
	// Admit is asked before each start, with the lane locked: 0 lets the job start, a positive duration asks again
	// after it. nil = always start. It must be quick and must not call the queue.
	Admit func() time.Duration
}

// Lane is an open lane.
type Lane interface {
	// Limit sets the number of handlers at a time, live. Running handlers finish; 0 or less pauses the lane. It also
	// asks Admit again.
	Limit(n int)
	// Drain waits until no job is due before until and none runs, or the lane is paused and none runs, or ctx is done
	// (its error). A zero until is now. Jobs with a later time stay. Jobs added meanwhile are waited for too.
	Drain(ctx context.Context, until time.Time) error
	// Stop closes the lane: no new job starts, and it waits for the running handlers. When ctx is done first, it
	// cancels their contexts and waits up to StopGrace more; *StillRunningError says how many did not return. The jobs
	// stay, and the lane can be opened again.
	Stop(ctx context.Context) error
}

// StopGrace is how long Stop waits for handlers whose context it has cancelled.
const StopGrace = time.Second

// Handler runs one job. ctx ends when the lane is stopped and Stop waits no longer. A panic counts as Retry after a
// second, as does runtime.Goexit.
type Handler func(ctx context.Context, j Job) Disposition

// Action says what becomes of a job.
type Action uint8

const (
	Done     Action = iota // delivered; the job is removed
	Retry                  // failed: run again after Delay; the queue counts the attempt
	Postpone               // not tried: run again after Delay, not counted
	Dead                   // not run again: kept as evidence with Reason
)

// Disposition is a handler's answer: what the queue is to do with the job.
type Disposition struct {
	Action Action
	Delay  time.Duration // for Retry and Postpone; below 0 = 0
	// Began is when the attempt began; that of the first counted attempt becomes the job's FirstTried. Dead with a
	// Began counts an attempt too, without one it was never tried.
	Began  time.Time
	Reason string // for Dead, in words; holds no secret
}

// Bound limits what a lane holds: jobs that wait, retries included, and dead letters. Jobs that run do not count.
type Bound struct {
	// Jobs is how many jobs may wait; 0 = DefaultBacklog, or in a durable queue as many as its storage holds.
	Jobs int
	// Group and GroupJobs limit lanes together: a job finds no room while GroupJobs jobs wait in the lanes that have
	// this Group and a GroupJobs. "" or 0 = no such limit.
	Group     string
	GroupJobs int

	DropOldest bool                   // drop the lane's oldest waiting job for the new one, instead of refusing that
	Keep       func(event.Event) bool // never dropped; nil = none; asked with the lane locked, as Admit is
	Dropped    func(Job)              // notified of each drop, after it became a dead letter; nil = nobody

	// DeadLetters is how many dead letters the lane keeps: with one more the oldest goes. 0 = DefaultDeadLetters.
	DeadLetters int
	// DeadLetterAge is how long one is kept that becomes dead from now on, to the second; 0 = forever, or as long as
	// the queue's own configuration says.
	DeadLetterAge time.Duration
}

// Limits of a lane for which none were set.
const (
	DefaultBacklog     = 10_000
	DefaultDeadLetters = 1_000
)
