package config

import (
	"errors"
	"slices"

	"github.com/tocsin-go/tocsin/event"
)

// externalKey is the attribute that require_external_key asks for.
const externalKey = "external_key"

func triggerNames() []string {
	var names []string
	for _, t := range event.Catalogue() {
		if trigger, ok := event.TriggerOf(t); ok {
			names = append(names, string(trigger))
		}
	}
	return names
}

// filters makes event filters; it knows the types that there are, those of the host included.
type filters struct {
	*suggester

	known []string
}

func newFilters(hosts []event.Type, s *suggester) filters {
	f := filters{suggester: s}
	for _, t := range slices.Concat(event.Catalogue(), hosts) {
		f.known = append(f.known, string(t))
	}
	return f
}

// of makes the filter of a route.
func (f filters) of(route Settings) (event.Filter, error) {
	wanted, err := f.types(route)
	errs := []error{err}
	if rules := route.Objects("rules"); len(rules) > 0 {
		if route.Has("events") || route.Has("triggers") {
			errs = append(errs, &Error{Path: "rules", Problem: "are set beside events or triggers", Remedy: "move those into a rule"})
		}
		each := make([]event.Filter, len(rules))
		for i, r := range rules {
			each[i], err = f.rule(r)
			errs = append(errs, below(indexed("rules", i), err))
		}
		wanted = event.Any(each...)
	}
	if route.Flag("require_external_key", false) {
		wanted = event.All(wanted, event.WithAttribute(externalKey))
	}
	return wanted, errors.Join(errs...)
}

func (f filters) rule(s Settings) (event.Filter, error) {
	wanted, err := f.types(s)
	all, errs := []event.Filter{wanted}, []error{err}
	if unwanted := s.Texts("except"); len(unwanted) > 0 {
		errs = append(errs, f.check("except", unwanted))
		all = append(all, event.Not(event.Types(unwanted...)))
	}
	for i, name := range s.Texts("attributes") {
		one := event.WithAttribute(name)
		if e, ok := errors.AsType[*event.InvalidError](one.Err()); ok {
			errs = append(errs, &Error{Path: indexed("attributes", i), Problem: e.Problem, Remedy: e.Remedy})
		}
		all = append(all, one)
	}
	return event.All(all...), errors.Join(errs...)
}

// types is what the fields events and triggers name; without any, every lifecycle event.
func (f filters) types(s Settings) (event.Filter, error) {
	wanted := s.Texts("events")
	err := f.check("events", wanted)
	for _, name := range s.Texts("triggers") {
		if t, ok := event.Trigger(name).Type(); ok { // the table knows the names
			wanted = append(wanted, string(t))
		}
	}
	return event.Types(wanted...), err
}

// check reports what is wrong with a list of patterns of event types. A type that nobody makes is a mistake as well: its
// route would be silent for ever.
func (f filters) check(field string, patterns []string) error {
	var errs []error
	for i, p := range patterns {
		one := event.Types(p)
		if one.Err() != nil {
			errs = append(errs, &Error{Path: indexed(field, i), Problem: "is neither a type of events nor a prefix of types", Remedy: `write a type ("request.pending"), a prefix ("request.*") or "*"`})
			continue
		}
		if slices.ContainsFunc(f.known, func(t string) bool { return one.MatchType(event.Type(t)) }) {
			continue
		}
		remedy := "use a type of the catalogue, such as request.pending; the host can add its own"
		if like := f.similar(p, f.known); like != "" {
			remedy = "did you mean " + like + "?"
		}
		errs = append(errs, &Error{Path: indexed(field, i), Problem: "names events that do not exist", Remedy: remedy})
	}
	return errors.Join(errs...)
}
