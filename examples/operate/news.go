package main

import (
	"context"
	"sync"
)

// news lets the story wait for what happens elsewhere.
type news struct {
	mu   sync.Mutex
	next chan struct{} // closed when something has happened
}

func newNews() *news { return &news{next: make(chan struct{})} }

// tell says that something has happened.
func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = make(chan struct{})
}

// until returns once happened is true, which it asks whenever something has happened, or ctx is done.
func (n *news) until(ctx context.Context, happened func() bool) error {
	for {
		n.mu.Lock()
		next := n.next
		n.mu.Unlock()
		if happened() {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
