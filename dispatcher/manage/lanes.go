package manage

import (
	"context"
	"slices"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// removedBy lists the routes whose lanes may not be empty, after next took the place of before.
func removedBy(before, next *config.Set, earlier []string) []string {
	there := routeNames(next)
	var all []string
	for _, name := range slices.Concat(earlier, routeNames(before)) {
		if !slices.Contains(there, name) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func routeNames(s *config.Set) []string {
	if s == nil {
		return nil
	}
	names := make([]string, len(s.Routes))
	for i, r := range s.Routes {
		names[i] = r.Name
	}
	return names
}

// inherited lists the routes of next that would find what waited for another one of their name.
func inherited(v *view, next *config.Set) []string {
	if v.content == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.content.Removed), func(name string) bool { return !slices.Contains(routeNames(next), name) })
}

// emptyLanes removes what waits in the lanes of a tenant's removed routes, and their dead letters.
func (s *Service) emptyLanes(ctx context.Context, tenant string, routes []string) error {
	if q := s.options.Engine.Queue; len(routes) == 0 || q != nil && !q.Properties().Inspection {
		return nil
	}
	ids := make([]dispatcher.RouteID, len(routes))
	for i, name := range routes {
		ids[i] = dispatcher.RouteID{Tenant: tenant, Name: name}
		if _, err := s.engine.Purge(ctx, ids[i]); err != nil {
			return unavailable("the queue", err)
		}
	}
	if _, err := s.engine.DiscardDead(ctx, dispatcher.DeadLetterFilter{Routes: ids}); err != nil {
		return unavailable("the queue", err)
	}
	return nil
}
