package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/event"
)

// externalKey is the attribute that require_external_key asks for.
const externalKey = "external_key"

func triggerNames() []string {
	words := event.TriggerWords()
	var names []string
	for _, t := range event.Catalogue() {
		if word, ok := words[t]; ok {
			names = append(names, word)
		}
	}
	return names
}

// filters makes event filters; it knows the types that there are, those of the host included, and others' words for
// them.
type filters struct {
	*suggester

	types []string
	words map[string]event.Type
	known []string // whatever may be written
}

func newFilters(o Options, vocabularies map[string]event.Vocabulary, s *suggester) filters {
	f := filters{suggester: s, words: map[string]event.Type{}}
	prefixes := map[string]bool{}
	for _, t := range slices.Concat(event.Catalogue(), o.EventTypes) {
		f.types = append(f.types, string(t))
		if prefix, _, ok := strings.Cut(string(t), "."); ok {
			prefixes[prefix+".*"] = true
		}
	}
	for _, name := range names(vocabularies) {
		for t, word := range vocabularies[name] {
			f.words[word] = t
		}
	}
	f.known = slices.Concat(f.types, names(prefixes), names(f.words))
	return f
}

// forRoute makes the filter of a route.
func (f filters) forRoute(route Settings) (event.Filter, error) {
	wanted, err := f.named(route)
	errs := []error{err}
	if rules := route.Objects("rules"); len(rules) > 0 {
		if route.Has("events") || route.Has("triggers") {
			errs = append(errs, route.Mistake("rules", channel.CodeConflict, "are set beside events or triggers", "move those into a rule"))
		}
		each := make([]event.Filter, len(rules))
		for i, r := range rules {
			each[i], err = f.rule(r)
			errs = append(errs, err)
		}
		wanted = event.Any(each...)
	}
	if route.Flag("require_external_key", false) {
		wanted = event.All(wanted, event.WithAttribute(externalKey))
	}
	return wanted, errors.Join(errs...)
}

func (f filters) rule(s Settings) (event.Filter, error) {
	wanted, err := f.named(s)
	all, errs := []event.Filter{wanted}, []error{err}
	if len(s.Texts("except")) > 0 {
		patterns, err := f.patterns(s, "except")
		errs = append(errs, err)
		all = append(all, event.Not(event.Types(patterns...)))
	}
	for i, name := range s.Texts("attributes") {
		one := event.WithAttribute(name)
		if e, ok := errors.AsType[*event.InvalidError](one.Err()); ok {
			errs = append(errs, s.Mistake(indexed("attributes", i), channel.CodeInvalid, e.Problem, e.Remedy))
		}
		all = append(all, one)
	}
	return event.All(all...), errors.Join(errs...)
}

// wantedInWords is what a route takes, in the document's own words: those of its rules or, without any, its own, and
// the alerts about the routes failing, RouteIDs as text.
func wantedInWords(route Settings, failing []string) string {
	rules := route.Objects("rules")
	if len(rules) == 0 {
		rules = []Settings{route}
	}
	var all []string
	for _, r := range rules {
		text := cmp.Or(strings.Join(slices.Concat(r.Texts("events"), r.Texts("triggers")), ", "), "*")
		if except := r.Texts("except"); len(except) > 0 {
			text += " except " + strings.Join(except, ", ")
		}
		attributes := r.Texts("attributes")
		if route.Flag("require_external_key", false) {
			attributes = append(slices.Clone(attributes), externalKey)
		}
		if len(attributes) > 0 {
			text += " with " + strings.Join(attributes, ", ")
		}
		all = append(all, text)
	}
	if len(failing) > 0 {
		all = append(all, "alerts of "+namesInWords(failing))
	}
	return strings.Join(all, "; ")
}

// namesInWords names some of the routes whose RouteIDs these are as text.
func namesInWords(routes []string) string {
	const most = 3
	var named []string
	for _, r := range routes[:min(len(routes), most)] {
		named = append(named, channel.ParseRouteID(r).Name)
	}
	text := strings.Join(named, ", ")
	if more := len(routes) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// named is what the fields events and triggers name; without any, every lifecycle event.
func (f filters) named(s Settings) (event.Filter, error) {
	patterns, err := f.patterns(s, "events")
	for _, name := range s.Texts("triggers") {
		if t, ok := event.TriggerWords().TypeOf(name); ok { // the table knows the names
			patterns = append(patterns, string(t))
		}
	}
	return event.Types(patterns...), err
}

// patterns translates what a field names into patterns of event types, and reports what is wrong with it. A type that
// nobody makes is a mistake as well: its route would be silent forever.
func (f filters) patterns(s Settings, field string) ([]string, error) {
	var errs []error
	texts := s.Texts(field)
	patterns := make([]string, len(texts))
	for i, text := range texts {
		patterns[i] = text
		if t, ok := f.words[text]; ok {
			patterns[i] = string(t)
		}
		one := event.Types(patterns[i])
		if slices.ContainsFunc(f.types, func(t string) bool { return one.MatchType(event.Type(t)) }) {
			continue
		}
		code, problem, remedy := channel.CodeUnknown, "names events that do not exist", "use a type of the catalogue, such as request.pending; the host can add its own"
		if one.Err() != nil {
			code, problem, remedy = channel.CodeInvalid, "is neither a type of events nor a prefix of types", `write a type ("request.pending"), a prefix ("request.*") or "*"`
		}
		if like := f.similar(text, f.known); like != "" {
			remedy = "did you mean " + like + "?"
		}
		errs = append(errs, s.Mistake(indexed(field, i), code, problem, remedy))
	}
	return patterns, errors.Join(errs...)
}
