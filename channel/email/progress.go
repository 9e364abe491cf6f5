package email

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/internal/recent"
)

// Progress remembers the recipients of a mail that was delivered to some of them only, so that the next attempt, or a
// redelivery on purpose, is for the others only. [Memory] is one; one that all workers share is a table with the fields
// of Key as its primary key, whose rows may go after some days. Implementations are safe for concurrent use.
type Progress interface {
	// Get returns what was stored last, or false when there is nothing, or nothing any more. It may be kept and
	// modified.
	Get(ctx context.Context, k Key) (state []byte, found bool, err error)
	// Put stores state, at most 4 KiB, in place of what was there. It holds recipients as digests, and no address. It
	// may be kept, but not modified. Put may be called for up to a second after the attempt's context is done.
	Put(ctx context.Context, k Key, state []byte) error
}

// Key is what a mail's state is stored under.
type Key struct {
	Tenant   string // of the event
	Route    string // channel.RouteID.String
	Delivery string // channel.Delivery.ID, which is the same for all redeliveries
}

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

// recipientState is what is known of a recipient.
type recipientState struct {
	Status     rcptStatus `json:"s"`
	Code       int        `json:"c,omitempty"` // of the reply; 0 = none
	Enhanced   string     `json:"e,omitempty"`
	Generation int64      `json:"g,omitempty"` // of the delivery in which it was
}

type rcptStatus uint8

const (
	rcptAccepted rcptStatus = iota + 1 // the relay has the mail for it
	rcptRejected                       // for good
	rcptDeferred                       // for now
)

// mailState is what is known of the recipients of a mail.
type mailState struct {
	Version     int                       `json:"v"`
	Recipients  map[string]recipientState `json:"r,omitempty"` // by digest of recipient.key
	Generations []int64                   `json:"n"`           // the latest that took part
	Done        bool                      `json:"d,omitempty"` // all recipients have it
	stored      bool
}

const (
	mailStateVersion = 1
	maxGenerations   = 16
)

var errMailState = errors.New("the stored state of a mail is damaged")

// digest stands for an address where it is stored.
func digest(r recipient) string {
	sum := sha256.Sum256([]byte(r.key()))
	return hex.EncodeToString(sum[:12])
}

// of returns what became of a recipient.
func (s *mailState) of(r recipient) recipientState { return s.Recipients[digest(r)] }

// startAttempt makes s fit for an attempt of the given generation, and reports whether there is nothing left for that
// to do.
func (s *mailState) startAttempt(generation int64) (nothing bool) {
	known := slices.Contains(s.Generations, generation)
	switch {
	case s.Done && known: // a redelivery has brought it to the last ones meanwhile
		return true
	case s.Done: // all have it, and this is a redelivery
		*s = mailState{stored: s.stored}
	}
	if !known {
		s.Generations = append(s.Generations, generation)
		s.Generations = s.Generations[max(0, len(s.Generations)-maxGenerations):]
	}
	return false
}

// pending are the recipients that are still to be tried. One that was refused for good is tried again on purpose only.
func (s *mailState) pending(all []recipient, generation int64) []recipient {
	var left []recipient
	for _, r := range all {
		o := s.of(r)
		if r.address != "" && o.Status != rcptAccepted && (o.Status != rcptRejected || o.Generation != generation) {
			left = append(left, r)
		}
	}
	return left
}

// add notes the states of an attempt, which are by recipient.key.
func (s *mailState) add(to []recipient, states map[string]recipientState, generation int64) {
	if s.Recipients == nil {
		s.Recipients = make(map[string]recipientState)
	}
	for _, r := range to {
		if o, ok := states[r.key()]; ok {
			o.Generation = generation
			s.Recipients[digest(r)] = o
		}
	}
}

func keyOf(d channel.Delivery) Key {
	return Key{Tenant: d.Event.Tenant(), Route: d.Route.String(), Delivery: d.ID()}
}

// load returns what is known of a mail's recipients. When that cannot be read, a recipient may get it twice, which is
// better than not at all.
func (m *mailer) load(ctx context.Context, d channel.Delivery) *mailState {
	s := &mailState{}
	raw, found, err := m.progress.Get(ctx, keyOf(d))
	if err == nil && found {
		if json.Unmarshal(raw, s) != nil || s.Version != mailStateVersion {
			*s, err = mailState{}, errMailState
		}
		s.stored = true
	}
	if err != nil {
		m.logger.WarnContext(ctx, "email cannot read the progress of a mail", "route", d.Route.Name, "tenant", d.Route.Tenant, "error", err)
	}
	return s
}

// storeTimeout is for storing a state when there is no time left: without it recipients would get a mail again.
const storeTimeout = time.Second

func (m *mailer) store(ctx context.Context, d channel.Delivery, s *mailState) {
	s.Version = mailStateVersion
	raw, err := json.Marshal(s)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		err = m.progress.Put(ctx, keyOf(d), raw)
	}
	if err != nil {
		m.logger.WarnContext(ctx, "email cannot store the progress of a mail", "route", d.Route.Name, "tenant", d.Route.Tenant, "error", err)
	}
}
