// Package cond has the mutex of the fakes, with which tests wait for what happens instead of sleeping.
package cond

import (
	"context"
	"sync"
)

// Cond is a mutex and a condition variable whose waits end with a context. The zero value is ready for use, also inside
// a testing/synctest bubble.
type Cond struct {
	sync.Mutex
	changed chan struct{} // closed by Broadcast; nil = nobody waits
}

// Broadcast makes all that wait look again. c is locked.
func (c *Cond) Broadcast() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// Wait returns nil once reached is true, and ctx's error when ctx is done first. It calls reached with c locked: at
// once, and after each Broadcast. c is not locked by the caller.
func (c *Cond) Wait(ctx context.Context, reached func() bool) error {
	for {
		changed := c.watch(reached)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch returns a channel that is closed by the next Broadcast; nil = reached is true. It is made here, by the waiting
// goroutine, because it has to belong to that goroutine's synctest bubble.
func (c *Cond) watch(reached func() bool) <-chan struct{} {
	c.Lock()
	defer c.Unlock()
	if reached() {
		return nil
	}
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}
