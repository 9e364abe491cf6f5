// Package watch hands changes to readers that may be slow, for stores that let others watch them.
package watch

import (
	"context"
	"sync"
	"time"
)

// Scope is the life of a store's watches. Its zero value is open. Safe for concurrent use.
type Scope struct {
	mu      sync.Mutex
	closed  bool
	cancels map[*context.CancelFunc]struct{}
	running sync.WaitGroup
}

// Closed reports whether Close was called.
func (s *Scope) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Go runs f in a goroutine with a context that ends with ctx and with the scope. It reports false, and does nothing, if
// the scope is closed.
func (s *Scope) Go(ctx context.Context, f func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	if s.cancels == nil {
		s.cancels = map[*context.CancelFunc]struct{}{}
	}
	s.cancels[&cancel] = struct{}{}
	s.running.Go(func() {
		defer func() {
			cancel()
			s.mu.Lock()
			delete(s.cancels, &cancel)
			s.mu.Unlock()
		}()
		f(ctx)
	})
	return true
}

// Close ends the contexts of all goroutines and waits for them.
func (s *Scope) Close() {
	s.mu.Lock()
	s.closed = true
	for cancel := range s.cancels {
		(*cancel)()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Poll calls next again and again, every so often, and sends what it returns, until ctx is done or the scope is closed;
// then it closes the channel. Nobody else waits for a reader that is slow: next is called once it has everything. It
// reports false if the scope is closed.
func Poll[V any](ctx context.Context, s *Scope, every time.Duration, next func(context.Context) []V) (<-chan V, bool) {
	out := make(chan V)
	ok := s.Go(ctx, func(ctx context.Context) {
		defer close(out)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			for _, v := range next(ctx) {
				select {
				case out <- v:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return out, ok
}
