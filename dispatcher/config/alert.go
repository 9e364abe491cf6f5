package config

import (
	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

func alertsField() Field {
	return Field{Name: "alerts", Kind: Object, Doc: "Tells people that this route fails.", Fields: []Field{
		{Name: "after", Kind: Duration, Min: 1, Word: "at_once", Doc: "How long it has to fail first; nobody is notified when it succeeds before. Default: 5m."},
		{Name: "resend", Kind: Duration, Min: 1, Word: "never", Doc: "How often people are notified again while it fails. Default: 1h."},
		{Name: "off", Kind: Flag, Doc: "Tells nobody, unless the destination is gone. Default: false."},
		{Name: "dead_letters", Kind: Flag, Doc: "Tells of each delivery that is given up too. Default: false."},
		{Name: "to", List: true, MaxItems: 100, Doc: "Names of routes that tell people, such as one to an e-mail contact, whatever their events. Default: those whose events name tocsin.*."},
	}}
}

// alerts collects the alerts of a document, and lets the routes that they name take them.
type alerts struct {
	*problems
	tenant string            // of routes that name none
	routes map[string]*value // all of the document, by name
	all    map[string]health.Alert
	about  map[string]map[string]bool // routes that fail, by the route that tells
}

// read reads the alerts of a route.
func (a *alerts) read(route *value) {
	v := route.get("alerts")
	if v == nil {
		return
	}
	s, name := Settings{v}, route.text("name")
	a.all[name] = health.Alert{After: s.Duration("after"), Resend: s.Duration("resend"), Off: s.Flag("off", false), Dead: s.Flag("dead_letters", false)}
	for i, to := range s.Texts("to") {
		at := v.get("to").items[i]
		switch teller := a.routes[to]; {
		case teller == nil:
			a.report(at, channel.CodeUnknown, "names no route", "name one of the routes"+among(&a.suggester, to, a.routes))
		case teller == route:
			a.report(at, channel.CodeConflict, "is the route itself, which cannot tell that it fails", "name another route")
		case !tells(a.tenantOf(teller), a.tenantOf(route)):
			a.report(at, channel.CodeForbidden, "names a route for another tenant", "name a route of the same tenant, or one of all tenants")
		default:
			if a.about[to] == nil {
				a.about[to] = map[string]bool{}
			}
			a.about[to][name] = true
		}
	}
}

func (a *alerts) tenantOf(route *value) string {
	if route.has("tenant") {
		return route.text("tenant")
	}
	return a.tenant
}

// tells reports whether a route for the tenant teller gets the alarms about a route for the tenant failing: those about
// one for all tenants have none.
func tells(teller, failing string) bool {
	if failing == dispatcher.AnyTenant {
		failing = ""
	}
	return teller == dispatcher.AnyTenant || teller == failing
}

// extend lets r take the alarms about the routes that name it.
func (a *alerts) extend(r *dispatcher.Route) {
	failing := a.about[r.Name]
	if failing == nil {
		return
	}
	alarms := event.Types(string(event.TypeChannelFailing), string(event.TypeChannelRecovered), string(event.TypeChannelDisabled), string(event.TypeDeliveryDead))
	r.Events = event.Any(r.Events, event.All(alarms, event.Where(func(e event.Event) bool { return failing[e.Subject()] })))
}
