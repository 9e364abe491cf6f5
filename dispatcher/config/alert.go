package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// Alert says when people are told that a route fails. Whoever makes the alarms takes it from the Set; the routes that an
// Alert names take those alarms already, whatever else their filters say.
type Alert struct {
	Route  string
	After  time.Duration // of failing without a success; 0 = the default of who makes the alarms
	Resend time.Duration // between repetitions while the failure lasts; 0 = the same
	To     []string      // names of the routes that take this route's alarms
}

func alertsField() Field {
	return Field{Name: "alerts", Kind: Object, Doc: "Tells people that this route fails.", Fields: []Field{
		{Name: "after", Kind: Duration, Doc: "How long it has to fail first. Nobody is told when it succeeds before."},
		{Name: "resend", Kind: Duration, Doc: "How often people are told again while it fails."},
		{Name: "to", List: true, Doc: "Names of the routes that tell them, such as one to an e-mail contact."},
	}}
}

// alerts collects the alerts of a document and lets the routes that they name take the alarms.
type alerts struct {
	*problems
	all []Alert
}

// add reads the alerts of a route, the value v.
func (a *alerts) read(v *value) {
	s := Settings{v}
	if !s.Has("alerts") {
		return
	}
	o := s.Object("alerts")
	a.all = append(a.all, Alert{Route: s.Text("name"), After: o.Duration("after"), Resend: o.Duration("resend"), To: o.Texts("to")})
}

// connect extends the filters of the routes that alerts name, which are given with the values they were made of.
func (a *alerts) connect(routes []dispatcher.Route, values, named map[string]*value) {
	about := map[string][]string{} // by the route that tells
	for _, alert := range a.all {
		for i, to := range alert.To {
			v := values[alert.Route].find(indexed("alerts.to", i))
			switch teller := named[to]; {
			case teller == nil:
				a.add(v.at, v.path, "names no route", "name one of the routes"+suggestion(to, names(named)))
			case to == alert.Route:
				a.add(v.at, v.path, "is the route itself, which fails to tell anything when it fails", "name another route")
			case teller.text("tenant") != dispatcher.AnyTenant && teller.text("tenant") != values[alert.Route].text("tenant"):
				a.add(v.at, v.path, "names a route for another tenant", "name a route of the same tenant, or of all tenants")
			default:
				about[to] = append(about[to], alert.Route)
			}
		}
	}
	for i := range routes {
		if subjects := about[routes[i].Name]; subjects != nil {
			routes[i].Events = event.Any(routes[i].Events, alarms(subjects))
		}
	}
}

// alarms wants the news about the given routes.
func alarms(routes []string) event.Filter {
	return event.All(
		event.Types(string(event.TypeChannelFailing), string(event.TypeChannelRecovered), string(event.TypeChannelDisabled)),
		event.Where(func(e event.Event) bool { return slices.Contains(routes, e.Subject()) }),
	)
}

// names lists the keys of m in order.
func names[T any](m map[string]T) []string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	slices.SortFunc(all, cmp.Compare[string])
	return all
}

// suggestion ends a remedy with what was probably meant.
func suggestion(name string, candidates []string) string {
	if like := similar(name, candidates); like != "" {
		return "; did you mean " + quoted(like) + "?"
	}
	if len(candidates) == 0 || len(candidates) > 10 {
		return ""
	}
	all := make([]string, len(candidates))
	for i, c := range candidates {
		all[i] = quoted(c)
	}
	return ": " + strings.Join(all, ", ")
}
