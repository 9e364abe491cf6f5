package email

import (
	"context"
)

// Progress remembers who has got a mail that not all of its recipients have got, so that the next attempt, or a
// redelivery on purpose, is for the others only. [Memory] is one; one that all workers share is a table with the fields
// of Key as its primary key, whose rows may go after some days. Implementations are safe for concurrent use.
type Progress interface {
	// Get returns what was stored last, or false when there is nothing, or nothing any more. It may be kept and modified.
	Get(ctx context.Context, k Key) (state []byte, found bool, err error)
	// Put stores state, at most 4 KiB, in place of what was there. It holds recipients as digests, and no address. It may
	// be kept, but not modified. Put may be called for up to a second after the attempt's context is done.
	Put(ctx context.Context, k Key, state []byte) error
}

// Key is what a mail's state is stored under.
type Key struct {
	Tenant   string // of the event
	Route    string
	Delivery string // channel.Delivery.ID, which is the same for all redeliveries
}
