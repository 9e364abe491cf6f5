package config

import (
	"slices"
	"sync"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

func alertsField() Field {
	return Field{Name: "alerts", Kind: Object, Doc: "Notifies people when this route fails.", Fields: []Field{
		{Name: "after", Kind: Duration, Min: 1, Word: "at_once", Doc: "How long it has to fail first; nobody is notified when it succeeds before. Default: 5m."},
		{Name: "resend", Kind: Duration, Min: 1, Word: "never", Doc: "How often people are notified again while it fails. Default: 1h."},
		{Name: "off", Kind: Flag, Doc: "Notifies nobody, unless the destination is gone. Default: false."},
		{Name: "dead_letters", Kind: Flag, Doc: "Notifies of each dead letter as well. Default: false."},
		{Name: "to", List: true, MaxItems: 100, Doc: "Names of routes that notify people, such as one to an e-mail contact, whatever their events. Default: those whose events name tocsin.*."},
	}}
}

// alerts collects the alerts of a document, and which routes take them.
type alerts struct {
	*loader
	all     map[dispatcher.RouteID]health.Alert
	failing map[string][]string // RouteIDs of the routes that fail, as text, by the name of the route that notifies
}

// add adds the alerts of a route.
func (a *alerts) add(route *value) {
	v := route.get("alerts")
	if v == nil {
		return
	}
	s, id := Settings{v: v}, dispatcher.RouteID{Tenant: a.tenantOf(route), Name: route.text("name")}
	a.all[id] = health.Alert{After: s.Duration("after"), Resend: s.Duration("resend"), Off: s.Flag("off", false), Dead: s.Flag("dead_letters", false)}
	for i, to := range s.Texts("to") {
		at := v.get("to").items()[i]
		switch contact := a.routeParts.find(to); {
		case contact == nil:
			a.routeParts.reportUnknown(a.problems, at)
		case contact == route:
			a.report(at, channel.CodeConflict, "is the route itself, which cannot notify anybody when it fails", "name another route")
		case !mayNotify(a.tenantOf(contact), a.tenantOf(route)):
			a.report(at, channel.CodeForbidden, "names a route for another tenant", "name a route of the same tenant, or one of all tenants")
		default:
			a.failing[to] = append(a.failing[to], id.String())
		}
	}
}

// mayNotify reports whether a route for the tenant contact gets the alerts about a route for the tenant failing:
// those about one for all tenants have none.
func mayNotify(contact, failing string) bool {
	if failing == dispatcher.AnyTenant {
		failing = ""
	}
	return contact == dispatcher.AnyTenant || contact == failing
}

// about returns the filter wanted, and the alerts about the routes failing besides: their RouteIDs as text, sorted.
func about(failing []string, wanted event.Filter) event.Filter {
	if len(failing) == 0 {
		return wanted
	}
	return event.Any(wanted, event.All(alertTypes(), event.Where(func(e event.Event) bool {
		_, found := slices.BinarySearch(failing, e.Subject())
		return found
	})))
}

var alertTypes = sync.OnceValue(func() event.Filter { //nolint:gochecknoglobals // read-only, and made when needed
	return event.Types(string(event.TypeChannelFailing), string(event.TypeChannelRecovered), string(event.TypeChannelDisabled), string(event.TypeDeliveryDead))
})
