package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// DeadLetterQuery selects a tenant's dead letters.
type DeadLetterQuery struct {
	Channel string    // "" = of all its channels, also removed ones
	Since   time.Time // dead at or after; zero = any time
	After   int64     // Seq greater than this, for paging
	Limit   int       // the earliest so many; 0 = 50, at most 1,000
}

// DeadLetters lists dead deliveries, the earliest first, and how many there are in all, whatever Since says; -1 = the
// queue cannot tell.
func (s *Service) DeadLetters(ctx context.Context, tenant string, q DeadLetterQuery) (letters []dispatcher.DeadLetter, total int, err error) {
	f, err := s.deadFilter(tenant, q.Channel)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	f.Since, f.After, f.Limit = q.Since, q.After, min(cmp.Or(max(q.Limit, 0), 50), 1000)
	if letters, err = s.engine.DeadLetters(ctx, f); err != nil {
		return nil, 0, queueError(err)
	}
	if total, err = s.countDead(ctx, f); err != nil {
		return nil, 0, queueError(err)
	}
	return letters, total, nil
}

// deadFilter selects all dead letters of a tenant, or of a channel's routes.
func (s *Service) deadFilter(tenant, name string) (dispatcher.DeadLetterFilter, error) {
	if name == "" {
		return dispatcher.DeadLetterFilter{Tenants: []string{tenant}}, nil
	}
	d := s.viewOf(tenant).document()
	if d.Channel(name) == nil {
		return dispatcher.DeadLetterFilter{}, noChannel(name)
	}
	routes := []dispatcher.RouteID{}
	for _, r := range d.RoutesOf(name) {
		routes = append(routes, dispatcher.RouteID{Tenant: tenant, Name: r})
	}
	return dispatcher.DeadLetterFilter{Routes: routes}, nil
}

// countDead counts the dead letters of the routes in force that f selects.
func (s *Service) countDead(ctx context.Context, f dispatcher.DeadLetterFilter) (int, error) {
	found, err := s.engine.Status(ctx, dispatcher.StatusFilter{Tenants: f.Tenants, Routes: f.Routes})
	total := 0
	for _, r := range found {
		if r.DeadLetters < 0 {
			return -1, err
		}
		total += r.DeadLetters
	}
	return total, err
}

// DeadLetterSelection selects dead letters to do something with: exactly one of IDs, Channel and All.
type DeadLetterSelection struct {
	IDs     []string
	Channel string
	Since   time.Time // beside Channel: dead at or after; zero = any time
	All     bool      // of the tenant
	// UpTo is the greatest Seq that is selected, required with Channel and All, so that repeating a call takes nothing
	// that became dead meanwhile.
	UpTo   int64
	DryRun bool // only count
}

// RedeliverDead queues dead deliveries again, and returns how many. Those of channels that are gone are selected by
// their ids only, and go to their lane.
func (s *Service) RedeliverDead(ctx context.Context, by By, sel DeadLetterSelection) (int, error) {
	return s.forDead(ctx, by, sel, event.TypeDeadRedelivered, s.engine.RedeliverDead)
}

// DiscardDead removes dead deliveries for good, and returns how many.
func (s *Service) DiscardDead(ctx context.Context, by By, sel DeadLetterSelection) (int, error) {
	return s.forDead(ctx, by, sel, event.TypeDeadDiscarded, s.engine.DiscardDead)
}

// deadPage is how many dead letters are looked at, or changed, at a time.
const deadPage = 1000

func (s *Service) forDead(ctx context.Context, by By, sel DeadLetterSelection, t event.Type, do func(context.Context, dispatcher.DeadLetterFilter) (int, error)) (int, error) {
	if err := s.validateSelection(sel); err != nil {
		return 0, err
	}
	f, err := s.deadFilter(by.Tenant, sel.Channel)
	if err != nil {
		return 0, err
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	f.IDs, f.Since, f.Limit = sel.IDs, sel.Since, max(deadPage, len(sel.IDs))
	n := 0
	for more := true; more; {
		page, failed := s.engine.DeadLetters(ctx, f)
		if failed != nil {
			err = queueError(failed)
			break
		}
		more = len(page) == deadPage && sel.IDs == nil
		ids := []string{}
		for _, l := range page {
			if sel.UpTo > 0 && l.Seq > sel.UpTo {
				more = false
				break
			}
			ids, f.After = append(ids, l.ID), l.Seq
		}
		if sel.DryRun || len(ids) == 0 {
			n += len(ids)
			continue
		}
		done, failed := do(ctx, dispatcher.DeadLetterFilter{Tenants: f.Tenants, Routes: f.Routes, IDs: ids})
		n += done
		if failed != nil {
			err = queueError(failed)
			break
		}
	}
	if n > 0 && !sel.DryRun {
		s.tell(ctx, by.Tenant, t, event.ConfigChange{Channel: sel.Channel, Actor: by.Actor, Count: n})
	}
	return n, err
}

func (s *Service) validateSelection(sel DeadLetterSelection) *Error {
	given := 0
	for _, is := range []bool{sel.IDs != nil, sel.Channel != "", sel.All} {
		if is {
			given++
		}
	}
	f := FieldError{Code: channel.CodeConflict}
	switch most := s.options.Limits.IDs; {
	case given != 1:
		f.Detail, f.Remedy = "names not exactly one of ids, channel and all", "give one of them"
	case len(sel.IDs) > most:
		f.Pointer, f.Code, f.Detail, f.Remedy = "/ids", channel.CodeRange, fmt.Sprintf("has more than %d", most), "name fewer, or all up to one"
	case slices.Contains(sel.IDs, ""):
		f.Pointer, f.Code, f.Detail, f.Remedy = "/ids", channel.CodeInvalid, "has an empty one", "leave it out"
	case sel.IDs == nil && sel.UpTo <= 0:
		f.Pointer, f.Code, f.Detail, f.Remedy = "/up_to", channel.CodeMissing, "is missing", "give the greatest seq that is meant, as the list has it"
	case !sel.Since.IsZero() && sel.Channel == "":
		f.Pointer, f.Detail, f.Remedy = "/since", "is set without channel", "leave it out, or name a channel"
	default:
		return nil
	}
	return &Error{Code: CodeFields, Fields: []FieldError{f}}
}

// queueError words the error of a queue.
func queueError(err error) error {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return &Error{Code: CodeUnsupported, Detail: "the queue cannot be looked into", Err: err}
	case errors.Is(err, dispatcher.ErrShutdown):
		return &Error{Code: CodeShutDown, Detail: "the service is shut down", Err: err}
	}
	return unavailable("the queue", err)
}
