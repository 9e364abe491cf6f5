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
)

// outcome is what became of a recipient.
type outcome struct {
	State      state  `json:"s"`
	Code       int    `json:"c,omitempty"` // of the reply; 0 = none
	Enhanced   string `json:"e,omitempty"`
	Generation int64  `json:"g,omitempty"` // of the delivery in which it was
}

type state uint8

const (
	taken    state = iota + 1 // the relay has the mail for it
	refused                   // for good
	deferred                  // for now
)

// standing says how the recipients of a mail stand.
type standing struct {
	Version     int                `json:"v"`
	Recipients  map[string]outcome `json:"r,omitempty"` // by digest of recipient.key
	Generations []int64            `json:"n"`           // the latest that took part
	Done        bool               `json:"d,omitempty"` // all recipients have it
	stored      bool
}

const (
	standingVersion = 1
	maxGenerations  = 16
)

var errStanding = errors.New("the stored state of a mail is damaged")

// digest stands for an address where it is stored.
func digest(r recipient) string {
	sum := sha256.Sum256([]byte(r.key()))
	return hex.EncodeToString(sum[:12])
}

// of returns what became of a recipient.
func (s *standing) of(r recipient) outcome { return s.Recipients[digest(r)] }

// begin makes s fit for an attempt of the given generation, and tells whether there is nothing left for that to do.
func (s *standing) begin(generation int64) (nothing bool) {
	known := slices.Contains(s.Generations, generation)
	switch {
	case s.Done && known: // a redelivery has brought it to the last ones meanwhile
		return true
	case s.Done: // all have it, and somebody wants them to get it once more
		*s = standing{stored: s.stored}
	}
	if !known {
		s.Generations = append(s.Generations, generation)
		s.Generations = s.Generations[max(0, len(s.Generations)-maxGenerations):]
	}
	return false
}

// pending are the recipients that are still to be tried. One that was refused for good is tried again on purpose only.
func (s *standing) pending(all []recipient, generation int64) []recipient {
	var left []recipient
	for _, r := range all {
		o := s.of(r)
		if r.address != "" && o.State != taken && (o.State != refused || o.Generation != generation) {
			left = append(left, r)
		}
	}
	return left
}

// add notes the outcomes of an attempt, which are by recipient.key.
func (s *standing) add(to []recipient, outcomes map[string]outcome, generation int64) {
	if s.Recipients == nil {
		s.Recipients = make(map[string]outcome)
	}
	for _, r := range to {
		if o, ok := outcomes[r.key()]; ok {
			o.Generation = generation
			s.Recipients[digest(r)] = o
		}
	}
}

func keyOf(d channel.Delivery) Key {
	return Key{Tenant: d.Event.Tenant(), Route: d.Route, Delivery: d.ID()}
}

// load returns what is known of a mail's recipients. When that cannot be read, somebody may get it twice, which is
// better than not at all.
func (m *mailer) load(ctx context.Context, d channel.Delivery) *standing {
	s := &standing{}
	raw, found, err := m.progress.Get(ctx, keyOf(d))
	if err == nil && found {
		if json.Unmarshal(raw, s) != nil || s.Version != standingVersion {
			*s, err = standing{}, errStanding
		}
		s.stored = true
	}
	if err != nil {
		m.logger.WarnContext(ctx, "email cannot read who has got a mail", "route", d.Route, "error", err)
	}
	return s
}

// storeTimeout is for storing a state when there is no time left: without it recipients would get a mail again.
const storeTimeout = time.Second

func (m *mailer) store(ctx context.Context, d channel.Delivery, s *standing) {
	s.Version = standingVersion
	raw, err := json.Marshal(s)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		err = m.progress.Put(ctx, keyOf(d), raw)
	}
	if err != nil {
		m.logger.WarnContext(ctx, "email cannot store who has got a mail", "route", d.Route, "error", err)
	}
}
