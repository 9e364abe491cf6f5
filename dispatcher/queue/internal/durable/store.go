package durable

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Store keeps jobs. The writer calls Begin, Load, Failed and Housekeep, one at a time; the others may be called at any
// time, and return the error of a ctx that is done.
type Store interface {
	// Begin begins a transaction at a time of the wall clock, in Unix nanoseconds.
	Begin(now int64) (Tx, error)
	// Failed is called after a transaction that failed: again says that the same may succeed at once, all that the
	// error is not one change's and smaller transactions would fail too.
	Failed(err error) (again, all bool)
	// Load reads jobs of a lane that may start.
	Load(lane *Lane, q LoadQuery) (Loaded, error)
	// Housekeep removes what has outlived its time, some at a time. It is called after transactions and at the times
	// that it asks for, and decides itself whether there is anything to do. It returns the lanes of the dead letters
	// that it has removed, one for each, and after which time it is to be called at the latest; 0 = any.
	Housekeep(now int64) (removed []string, again time.Duration)

	// Error makes an error of the store one that says what was being done.
	Error(op string, err error) error
	// Later counts the jobs of a lane that are due after now.
	Later(ctx context.Context, lane string, now int64) (int, error)
	// DeadLetters is queue.Queue's.
	DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error)
}

// Tx is a transaction. After an error of any of its methods it is rolled back.
type Tx interface {
	// Append stores the events of calls, skipping jobs whose ids are known. A call that is refused changes nothing.
	// lane finds the lane of a job; room is asked last before one is stored, and says whether there is room for it.
	Append(calls []*Append, lane func(name string) *Lane, room func(*Append, *Lane) (bool, error)) error
	// Settle applies outcomes of jobs that ran, and Remove removes jobs of a lane. They return the jobs that these held
	// back by their order keys.
	Settle(settlements []*Settlement) (released []*Job, err error)
	Remove(lane *Lane, jobs []*lanes.Ref) (released []*Job, err error)
	// Scheduled finds the jobs of a lane that have a schedule key, ClearScheduleKey makes such a job one without.
	Scheduled(lane *Lane, key string) ([]*lanes.Ref, error)
	ClearScheduleKey(lane *Lane, job *lanes.Ref) error
	// Waiting finds up to n jobs of a lane with numbers up to last, without those that skip names. None of an order key
	// comes after the one that it waits for.
	Waiting(lane *Lane, last int64, n int, skip func(num int64) bool) ([]*lanes.Ref, error)
	// Oldest finds up to n jobs of a lane with the least numbers after that one.
	Oldest(lane *Lane, after int64, n int) ([]*Job, error)
	// LastDead is the greatest Seq of a dead letter. TakeDead removes up to n of the selected dead letters with a Seq
	// up to last, and requeues them under a generation if that is not nil.
	LastDead() (int64, error)
	TakeDead(s queue.Selection, last int64, n int, generation *int64) (TakenDead, error)
	// RemoveDead removes the oldest n dead letters of a lane, and reports how many there were.
	RemoveDead(lane *Lane, n int) (int, error)
	// Forget removes what the store has of lanes without jobs and dead letters, but not the ids that it knows.
	Forget(all []*Lane) error
	// Follow moves the ages of jobs with numbers after since by a step that has led the wall clock to now, and with a
	// step back the ends of pauses after it, but not of jobs that are held in memory.
	Follow(by, now, since int64, held func(lane string, num int64) bool) error
	Commit() error
	Rollback()
}

// Job is a job in a store. Its Ref.Due is Now, a time in Unix nanoseconds, or HeldBack.
type Job struct {
	queue.Job
	Ref *lanes.Ref
	In  *Lane // of one that Append has stored
}

// When a job may start, apart from times.
const (
	Now      = int64(0)
	HeldBack = int64(1<<63 - 1) // behind another job with its order key
	Latest   = HeldBack - 1     // the last time there is
)

// Event is an event with its jobs.
type Event struct {
	Key    [16]byte // of its id and generation
	Digest uint64   // tells other data
	Body   string   // its JSON form
	Jobs   []queue.Job
}

// Append is what a call stores in one transaction.
type Append struct {
	Events []*Event
	// Check are events of which none may be in conflict with what is known: those of the whole call, of which Events
	// may be the first part; nil for a later part.
	Check       []*Event
	ScheduleKey string // of its only job, whose id is then neither looked up nor remembered
	Rows        int    // jobs in Events
	Bytes       int    // of their events

	Stored  []*Job // what was stored
	Refused error  // why nothing was: a *queue.ConflictError, or one for Store.Error

	unbounded bool     // it needs no room
	refused   []string // lanes that had none for an earlier part of the call
	full      queue.BacklogError
	dropped   []lanes.Dropped
}

// notify says what was dropped.
func (a *Append) notify() {
	for _, d := range a.dropped {
		if d.Bound.Dropped != nil {
			d.Bound.Dropped(d.Job)
		}
	}
}

// Settlement is what is to become of a job that ran.
type Settlement struct {
	Lane        *Lane
	Job         *lanes.Ref
	Disposition queue.Disposition
	Attempt     int           // Job.Attempt when it ran
	ID          string        // of a dead job; "" if its event is unreadable
	Age         time.Duration // for which a dead job is kept; 0 = forever
	Due         int64         // set by Settle for a job that is to run again: Now or a time
	Lost        bool          // set by a Shared store: the job's lane is another's, and nothing was changed
}

// RunsAgain reports whether the job is to run again.
func (s *Settlement) RunsAgain() bool {
	return s.Disposition.Action == queue.Retry || s.Disposition.Action == queue.Postpone
}

// TakenDead are dead letters that were taken.
type TakenDead struct {
	Lanes    []string // that of each
	Seq      int64    // of the last one
	Requeued []*Job
}

// LoadQuery asks for jobs of a lane that are not in memory.
type LoadQuery struct {
	Now    int64                // the wall clock's time
	After  int64                // jobs that may start at once have numbers after this
	Room   int                  // how many; urgent ones come whatever the room
	Urgent int                  // at most so many of those
	Held   func(num int64) bool // jobs that are in memory, which are skipped
	Nums   func() []int64       // all of those
}

// Loaded is what was read. Jobs that may start at once and jobs whose time has come share the room.
type Loaded struct {
	Jobs   []*Job // in the order to start
	Cursor int64  // the next After
	More   bool   // there are more that may start
	Urgent bool   // there are more urgent ones
	Next   int64  // when the next one with a later time is due; 0 = there is none. Without room that of urgent ones
}

// events does in the caller's goroutine what the writer need not do.
func events(jobs []queue.Job) (all []*Event) {
	for len(jobs) > 0 {
		first, n := &jobs[0], 1
		for n < len(jobs) && jobs[n].Generation == first.Generation && jobs[n].Event.SameAs(first.Event) {
			n++
		}
		all = append(all, newEvent(jobs[:n]))
		jobs = jobs[n:]
	}
	return all
}

// newEvent makes the event of jobs. The digests outlive the process and are of data that comes from elsewhere, so they
// are SHA-256, cut.
func newEvent(jobs []queue.Job) *Event {
	e := &Event{Jobs: jobs, Body: string(jobs[0].Event.JSON())}
	of := jobs[0].Event
	var buffer [256]byte
	b := append(buffer[:0], of.ID()...)
	b = binary.BigEndian.AppendUint64(append(b, 0), uint64(jobs[0].Generation))
	sum := sha256.Sum256(b)
	copy(e.Key[:], sum[:])
	h := sha256.New()
	for _, s := range [...]string{string(of.Type()), of.Tenant(), of.Subject()} {
		h.Write(append(binary.AppendUvarint(b[:0], uint64(len(s))), s...))
	}
	h.Write(of.Data())
	e.Digest = binary.BigEndian.Uint64(h.Sum(b[:0]))
	return e
}
