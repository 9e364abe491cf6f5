package slack

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/channel/internal/recent"
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
	Route   string // channel.RouteID.String
	Channel string // Slack's id, as configured
	Subject string // of the event
}

// Reference is a message and what was posted about it last.
type Reference struct {
	TS       string    // Slack's id of the message within its channel
	Delivery string    // the last one that was posted; it may come again
	Time     time.Time // of the latest event posted
}

const (
	defaultMax = 10_000
	defaultTTL = 30 * 24 * time.Hour
)

// MemoryOptions configure a Memory. The zero value is useful.
type MemoryOptions struct {
	Max int           // references held, about 300 bytes each; 0 or less = 10,000
	TTL time.Duration // how long after the last news one is kept; 0 or less = 30 days
}

// Memory is References within one process: after a restart the next event about each subject is a message of its own.
// When it is full, the one that had no news for the longest time is removed. It has no goroutine and needs no closing.
// Make one with NewMemory; a Key identifies the channel as well, so any number of them may share it.
type Memory struct{ references *recent.Map[Key, Reference] }

var _ References = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Max <= 0 {
		o.Max = defaultMax
	}
	if o.TTL <= 0 {
		o.TTL = defaultTTL
	}
	return &Memory{recent.New[Key, Reference](o.Max, o.TTL)}
}

// Get implements References. It never fails.
func (m *Memory) Get(_ context.Context, k Key) (Reference, bool, error) {
	r, found := m.references.Get(k)
	return r, found, nil
}

// Put implements References. It never fails.
func (m *Memory) Put(_ context.Context, k Key, r Reference) error {
	m.references.Put(k, r)
	return nil
}
