// Package access is a small host service: it ends grants, and tells the world through a Dispatcher. Its test shows how a
// product tests what it dispatches (service_test.go), without a network and without waiting.
package access

import (
	"context"
	"fmt"
	"sync"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Service ends grants.
type Service struct {
	events dispatcher.Dispatcher // an interface of one method: an Engine in production, a Recorder in tests

	mu     sync.Mutex
	grants map[string]event.Grant
}

// NewService returns a Service that knows these grants.
func NewService(d dispatcher.Dispatcher, grants ...event.Grant) *Service {
	s := &Service{events: d, grants: map[string]event.Grant{}}
	for _, g := range grants {
		s.grants[g.Granted.ID] = g
	}
	return s
}

// Revoke ends a grant and says so. The grant stays when the event could not be queued, so that the caller can try again.
func (s *Service) Revoke(ctx context.Context, grantID, by, reason string) error {
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
	if err := s.events.Dispatch(ctx, revoked); err != nil {
		return fmt.Errorf("grant %s: %w", grantID, err)
	}
	delete(s.grants, grantID)
	return nil
}
