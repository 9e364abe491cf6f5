package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Service ends grants.
type Service struct {
	events    dispatcher.Dispatcher // an interface of one method: an Engine in production, a Recorder in tests
	committed func()                // called after each commit; for the example and the tests

	mu     sync.Mutex // its critical sections stand in for transactions of a database
	grants map[string]event.Grant
	unsent []event.Event // of commits whose events could not be queued yet
}

// NewService returns a Service that knows these grants.
func NewService(d dispatcher.Dispatcher, grants ...event.Grant) *Service {
	s := &Service{events: d, committed: func() {}, grants: map[string]event.Grant{}}
	for _, g := range grants {
		s.grants[g.Granted.ID] = g
	}
	return s
}

// Revoke ends a grant, and then says so: an event must never speak of something that did not happen, and what happened
// must not be kept back because the event cannot be queued. Send tries such events again.
func (s *Service) Revoke(ctx context.Context, grantID, by, reason string) error {
	if err := s.commit(grantID, by, reason); err != nil {
		return err
	}
	s.committed()
	return s.Send(ctx)
}

// commit ends the grant and keeps the event about it. Both happen or neither does: the event is made before anything
// changes.
func (s *Service) commit(grantID, by, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	grant, ok := s.grants[grantID]
	if !ok {
		return fmt.Errorf("grant %s: not found", grantID)
	}
	revoked, err := event.New(event.GrantRevoked{
		Grant:     grant,
		RevokedBy: event.Person{ID: by},
		Reason:    reason,
	}, event.Meta{})
	if err != nil {
		return err
	}
	delete(s.grants, grantID)
	s.unsent = append(s.unsent, revoked)
	return nil
}

// Send queues the events of what was committed. The request that committed it may be over by now, and its context with
// it: that must not cost the event.
func (s *Service) Send(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.events.Dispatch(context.WithoutCancel(ctx), s.unsent...); err != nil {
		return fmt.Errorf("%d events wait to be queued: %w", len(s.unsent), err)
	}
	s.unsent = nil
	return nil
}
