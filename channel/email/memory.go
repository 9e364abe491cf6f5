package email

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel/internal/recent"
)

const (
	defaultMax = 4096
	defaultTTL = 7 * 24 * time.Hour
)

// MemoryOptions configure a Memory. The zero value is useful.
type MemoryOptions struct {
	Max int           // mails held, about 1 KB each; 0 or less = 4,096
	TTL time.Duration // how long after the last attempt one is kept; 0 or less = 7 days
}

// Memory is Progress within one process: after a restart a mail that was delivered in part goes to all recipients
// again. When it is full, the one whose last attempt is longest ago is removed. It has no goroutine and needs no
// closing. Make one with NewMemory; any number of channels may share it.
type Memory struct{ states *recent.Map[Key, []byte] }

var _ Progress = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory(o MemoryOptions) *Memory {
	if o.Max <= 0 {
		o.Max = defaultMax
	}
	if o.TTL <= 0 {
		o.TTL = defaultTTL
	}
	return &Memory{recent.New[Key, []byte](o.Max, o.TTL)}
}

// Get implements Progress. It never fails.
func (m *Memory) Get(_ context.Context, k Key) ([]byte, bool, error) {
	state, found := m.states.Get(k)
	return slices.Clone(state), found, nil
}

// Put implements Progress. It never fails.
func (m *Memory) Put(_ context.Context, k Key, state []byte) error {
	m.states.Put(k, state)
	return nil
}
