package dispatcher

import (
	"context"
	"reflect"
	"sync"
	"time"
)

// limits makes the contexts that end a route's attempts in time. Making one costs more than all else of an attempt, so
// attempts that begin within a thousandth of the Timeout share one, which ends that much early for the last of them.
// While no attempt follows, the latest one is kept until its time is over.
type limits struct {
	mu      sync.Mutex
	latest  *limit // which attempts may still join; nil = none
	retired bool
}

const limitShare = 1000

// limit is a context and the attempts that run with it.
type limit struct {
	parent, ctx context.Context
	cancel      context.CancelFunc
	until       time.Time // attempts that begin earlier may join
	attempts    int
}

// begin returns the limit of an attempt that begins now. The attempt calls end when it is over.
func (s *limits) begin(parent context.Context, timeout time.Duration, now time.Time) *limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.latest; l != nil && now.Before(l.until) && isSame(l.parent, parent) {
		l.attempts++
		return l
	}
	s.replace(nil)
	l := &limit{parent: parent, until: now.Add(timeout / limitShare), attempts: 1}
	l.ctx, l.cancel = context.WithDeadline(parent, now.Add(timeout))
	if !s.retired {
		s.replace(l)
	}
	return l
}

// isSame compares pointers only: comparing contexts of other types may panic.
func isSame(a, b context.Context) bool { return reflect.TypeOf(a).Kind() == reflect.Pointer && a == b }

func (s *limits) end(l *limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.attempts--
	l.tidy(s.latest)
}

// retire is called once no more attempts are to be expected; the few that come all the same share nothing.
func (s *limits) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
	s.replace(nil)
}

func (s *limits) replace(by *limit) {
	previous := s.latest
	s.latest = by
	if previous != nil {
		previous.tidy(by)
	}
}

// tidy frees a limit that nobody runs with and nobody can join.
func (l *limit) tidy(latest *limit) {
	if l.attempts == 0 && l != latest {
		l.cancel()
	}
}
