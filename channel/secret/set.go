package secret

import (
	"context"
	"slices"
	"sync/atomic"
)

// Set keeps the Redactor of a channel's values up to date. It is safe for concurrent use. A nil or zero Set has no
// values.
type Set struct {
	redactor func(context.Context) (*Redactor, error)
	expire   func()
}

// NewSet makes a Set of the given values; those not set are left out.
func NewSet(values ...Value) *Set {
	values = slices.DeleteFunc(slices.Clone(values), Value.IsZero)
	type state struct {
		known    []revealed
		redactor *Redactor
	}
	var current atomic.Pointer[state]
	redactor := func(ctx context.Context) (*Redactor, error) {
		s := current.Load()
		changed := s == nil
		for i := 0; i < len(values) && !changed; i++ {
			now, err := values[i].read(ctx)
			if err != nil {
				return nil, err
			}
			changed = now != s.known[i]
		}
		if !changed {
			return s.redactor, nil
		}
		s = &state{}
		var texts []string
		for _, v := range values {
			now, err := v.read(ctx)
			if err != nil {
				return nil, err
			}
			s.known = append(s.known, now)
			texts = append(texts, now.text, now.before)
		}
		s.redactor = NewRedactor(texts...)
		current.Store(s)
		return s.redactor, nil
	}
	expire := func() {
		for _, v := range values {
			v.Expire()
		}
	}
	return &Set{redactor, expire}
}

// Expire does [Value.Expire] to every value.
func (s *Set) Expire() {
	if s != nil && s.expire != nil {
		s.expire()
	}
}

// Redactor returns a Redactor of the values as they are and as they were before their last change; it is made anew only
// when one has changed. Ask once per attempt, after the values for it were revealed and before anything is sent: it
// fails when a value cannot be read, and an attempt that cannot be redacted must not be made.
func (s *Set) Redactor(ctx context.Context) (*Redactor, error) {
	if s == nil || s.redactor == nil {
		return new(Redactor), nil
	}
	return s.redactor(ctx)
}
