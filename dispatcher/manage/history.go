package manage

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

// HistoryQuery selects what was tried for a tenant; its Tenant and Route are set by what follows.
type HistoryQuery struct {
	history.Query

	Channel string // "" = of all channels, also removed ones
}

// History lists what was tried, the newest first. Entries hold events and messages: see history.Entry.
func (s *Service) History(ctx context.Context, tenant string, q HistoryQuery) ([]history.Entry, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	q.Tenant = tenant
	routes := []dispatcher.RouteID{{}}
	if q.Channel != "" {
		d := s.viewOf(tenant).document()
		if d.Channel(q.Channel) == nil {
			return nil, noChannel(q.Channel)
		}
		routes = nil
		for _, r := range d.RoutesOf(q.Channel) {
			routes = append(routes, dispatcher.RouteID{Tenant: tenant, Name: r})
		}
	}
	var all []history.Entry
	for _, r := range routes {
		q.Route = r
		some, err := s.options.History.Query(ctx, q.Query)
		if err != nil {
			return nil, unavailable("the history", err)
		}
		all = append(all, some...)
	}
	return newest(all, len(routes), q.Max()), nil
}

// HistoryEntry returns one entry.
func (s *Service) HistoryEntry(ctx context.Context, tenant string, seq int64) (history.Entry, error) {
	var found []history.Entry
	if seq > 0 {
		var err error
		if found, err = s.History(ctx, tenant, HistoryQuery{Query: history.Query{Seq: seq, Limit: 1}}); err != nil {
			return history.Entry{}, err
		}
	}
	if len(found) == 0 {
		return history.Entry{}, newError(CodeNotFound, fmt.Sprintf("there is no entry %d", seq), "it may have been removed")
	}
	return found[0], nil
}

// Redeliver gives the event of an entry to its route again, as the route is now. A route that does not take it, or is
// gone, is a CodeState.
func (s *Service) Redeliver(ctx context.Context, by By, seq int64) error {
	e, err := s.HistoryEntry(ctx, by.Tenant, seq)
	if err != nil {
		return err
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	err = e.Redeliver(ctx, s.engine)
	if wrong, ok := errors.AsType[*dispatcher.RouteError](err); ok {
		return &Error{Code: CodeState, Detail: "the route " + wrong.Problem, Err: err}
	}
	if err != nil {
		return queueError(err)
	}
	return nil
}
