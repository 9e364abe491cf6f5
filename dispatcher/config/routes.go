package config

import (
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// madeRoute is a route, what it was made of, and what was made.
type madeRoute struct {
	source  *value
	index   int      // among those of the document
	failing []string // RouteIDs of the routes about whose failures it notifies, as text, sorted
	events  event.Filter
	retry   retry.Policy
}

// routes makes the routes of the document from the channels that are made.
func (l *loader) routes(made map[string]channel.Channel, set *Set) {
	all := l.routeParts.list
	if all == nil {
		return
	}
	collected := alerts{l, map[dispatcher.RouteID]health.Alert{}, map[string][]string{}}
	channelsNamed, routesNamed := l.channelParts.areNamed(), l.routeParts.areNamed()
	for i, v := range all {
		if _, ok := v.data.(*brokenPart); ok {
			continue
		}
		l.part = indexed("routes", i)
		l.validateTenant(v)
		if channelsNamed {
			l.validateReference(v.get("channel"), l.channelParts)
		}
		if routesNamed {
			l.validateReference(v.get("fallback"), l.routeParts)
		}
		collected.add(v)
	}
	previous := l.previousRoutes()
	set.Routes, set.made = make([]dispatcher.Route, 0, len(all)), make([]madeRoute, 0, len(all))
	for i, v := range all {
		l.part = indexed("routes", i)
		if b, ok := v.data.(*brokenPart); ok {
			l.brokenRoute(v, b, i, set)
			continue
		}
		name := v.text("name")
		m := madeRoute{source: v, index: i, failing: slices.Sorted(slices.Values(collected.failing[name]))}
		r, err := routeOf(Settings{v: v}, made[v.text("channel")])
		if before := previous[name]; before.isLike(m) {
			m.events, m.retry = before.events, before.retry
		} else {
			err = errors.Join(err, l.make(&m))
		}
		if err != nil {
			l.addAll(v, err, nil)
			continue
		}
		if !v.complete() {
			continue
		}
		r.Tenant, r.Events, r.Retry = l.tenantOf(v), m.events, m.retry
		if isBroken(r.Channel) && r.State == dispatcher.Enabled {
			r.State = dispatcher.Paused
		}
		set.Routes, set.made = append(set.Routes, r), append(set.made, m)
	}
	l.part = ""
	set.Alerts = collected.all
	l.validateRoutes(set)
}

// make makes of a route what is not compared by its fields.
func (l *loader) make(m *madeRoute) error {
	if l.filters == nil {
		f := newFilters(l.options, l.vocabularies, &l.suggester)
		l.filters = &f
	}
	wanted, err := l.filters.forRoute(Settings{v: m.source})
	m.events = about(m.failing, wanted).WithDescription(wantedInWords(Settings{v: m.source}, m.failing))
	policy, retryErr := retryPolicy(Settings{v: m.source})
	m.retry = policy
	return errors.Join(err, retryErr)
}

// previousRoutes are those of the previous Set by name, if filters still mean the same. An Engine that gets what is
// unchanged as it was sees that it is.
func (l *loader) previousRoutes() map[string]madeRoute {
	p := l.options.Previous
	if p == nil || !slices.Equal(p.types, l.options.EventTypes) || !reflect.DeepEqual(p.vocabularies, l.options.Vocabularies) {
		return nil
	}
	all := make(map[string]madeRoute, len(p.made))
	for _, m := range p.made {
		all[m.source.text("name")] = m
	}
	return all
}

// isLike reports whether the route m is described like this one.
func (before madeRoute) isLike(m madeRoute) bool {
	return before.source != nil && sameValue(m.source, before.source, sameCredential) && slices.Equal(m.failing, before.failing)
}

// validateReference reports a name, nil = there is none, that none of the parts has.
func (l *loader) validateReference(name *value, to parts) {
	if name != nil && to.find(dataOf[string](name)) == nil {
		to.reportUnknown(l.problems, name)
	}
}

// tenantOf is whose events a route takes.
func (l *loader) tenantOf(route *value) string {
	if route.has("tenant") {
		return route.text("tenant")
	}
	return l.options.Tenant
}

// validateTenant refuses a tenant that the host has not allowed.
func (l *loader) validateTenant(v *value) {
	t, id := v.get("tenant"), v.text("tenant")
	switch {
	case t == nil || id == l.options.Tenant || l.options.allowsTenant(id):
	case id == dispatcher.AnyTenant:
		l.report(t, channel.CodeForbidden, "is all tenants, which the host does not allow in this document", askTheHost)
	case l.options.Tenant != "":
		l.report(t, channel.CodeForbidden, "is not the tenant of this document", askTheHost)
	default:
		l.report(t, channel.CodeForbidden, "is a tenant that the host does not allow in this document", askTheHost)
	}
}

const askTheHost = "leave it out, or have the host allow it"

// validateRoutes reports what the dispatcher finds wrong with the routes. A route whose channel is wrong has none, and
// one that is wrong itself is not among them: that is reported already.
func (l *loader) validateRoutes(set *Set) {
	for i, errs := range l.validate(set.Routes) {
		if len(errs) > 0 {
			l.part = indexed("routes", set.made[i].index)
			l.addAll(set.made[i].source, errors.Join(errs...), routePaths)
		}
	}
	l.part = ""
}

// validate asks the dispatcher what is wrong with each of the routes. They need no channels, and a fallback that is not
// among them is none.
func (l *loader) validate(routes []dispatcher.Route) [][]error {
	routes = slices.Clone(routes)
	there := make(map[string]bool, len(routes))
	for _, r := range routes {
		there[r.Name] = true
	}
	for i, r := range routes {
		if !there[r.Protect.Fallback] {
			routes[i].Protect.Fallback = ""
		}
	}
	_, err := dispatcher.New(dispatcher.Config{Routes: routes, EventTypes: l.options.EventTypes, Logger: slog.New(slog.DiscardHandler)})
	found := make([][]error, len(routes))
	for _, each := range joined.Errors(err) {
		if e, ok := errors.AsType[*channel.ConfigError](each); ok {
			index, field, _ := strings.Cut(strings.TrimPrefix(e.Path, "Routes["), "].")
			if i, ok := atoi(index); ok && field != "Channel" {
				moved := *e
				moved.Path = field
				found[i] = append(found[i], &moved)
			}
		}
	}
	return found
}
