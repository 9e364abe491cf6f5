package slack

import (
	"context"
	"time"
)

// References remembers which message was the first about a subject, so that a [Bot] can bring it up to date and reply
// to it. [Memory] is one; one that outlives the process is a table with the fields of Key as its primary key.
// Implementations are safe for concurrent use.
type References interface {
	// Get returns the reference stored last, or false when there is none, or none any more.
	Get(ctx context.Context, k Key) (Reference, bool, error)
	// Put stores r in place of what was there. It may be called for up to a second after the attempt's context is done.
	Put(ctx context.Context, k Key, r Reference) error
}

// Key is what a Reference is stored under.
type Key struct {
	Tenant  string // of the event
	Route   string
	Channel string // Slack's id, as configured
	Subject string // of the event
}

// Reference is a message and what was posted about it last.
type Reference struct {
	TS       string    // Slack's id of the message within its channel
	Delivery string    // the last one that was posted; it may come again
	Time     time.Time // of the latest event posted
}
