package queue

import (
	"context"
	"time"
)

// Inspector is implemented by queues whose content can be looked at and mended.
type Inspector interface {
	// Lanes lists every lane that is open or holds something, sorted.
	Lanes(ctx context.Context) ([]string, error)
	Count(ctx context.Context, lane string) (Counts, error)
	// Purge removes the waiting jobs of a lane and reports how many there were. Running ones finish.
	Purge(ctx context.Context, lane string) (int, error)
	// DeadLetters lists the selected dead letters, the earliest death first.
	DeadLetters(ctx context.Context, s Selection) ([]DeadLetter, error)
	// Requeue gives the selected dead letters back to their lanes as new jobs of this generation, with no attempts made
	// and as old as now, whatever the bound. It reports how many.
	Requeue(ctx context.Context, s Selection, generation int64) (int, error)
	// Discard removes the selected dead letters for good and reports how many.
	Discard(ctx context.Context, s Selection) (int, error)
}

// Counts are the jobs of a lane by state.
type Counts struct {
	Due     int // could start now, if lane and order let them
	Later   int // have a later time
	Running int
	Dead    int
}

// Waiting is the number of jobs that have not started.
func (c Counts) Waiting() int { return c.Due + c.Later }

// DeadLetter is a job that was given up.
type DeadLetter struct {
	Job
	Seq    int64     // increases with each death; the cursor for Selection.After
	Died   time.Time // when it was given up
	Reason string    // why, in words
}

// Selection picks dead letters. Fields combine with "and"; the zero value picks all.
type Selection struct {
	Lane  string    // "" = every lane
	IDs   []string  // job ids; nil = any
	Since time.Time // died at or after; zero = any time
	After int64     // Seq greater than this, for paging
	Limit int       // at most so many; 0 = no limit
}

// Match reports whether l is selected, apart from Limit.
func (s Selection) Match(l DeadLetter) bool {
	if s.Lane != "" && l.Route != s.Lane || l.Seq <= s.After || l.Died.Before(s.Since) {
		return false
	}
	if s.IDs == nil {
		return true
	}
	id := l.ID()
	for _, want := range s.IDs {
		if want == id {
			return true
		}
	}
	return false
}
