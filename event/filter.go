package event

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Filter says which events are wanted. The zero Filter wants every lifecycle event. Filters are immutable, safe for
// concurrent use, and combine with [All], [Any] and [Not].
//
// The library's own events, "tocsin.*", match only when a pattern that begins with "tocsin." names them; otherwise
// every channel would get the news of its own failures. The zero Filter, "*", [Not], [Where] and [WithAttribute]
// restrict own events that are named elsewhere in the filter, but let none through by themselves:
// All(Types("tocsin.*"), Not(Types("tocsin.channel_recovered"))) wants all but one.
//
// A mistake in a filter is kept and reported by [Filter.Err]; a filter with a mistake matches nothing. [Filter.Validate]
// also finds types that do not exist.
type Filter struct{ n *node }

type node struct {
	op       operator
	patterns []pattern        // opTypes
	name     string           // opAttribute
	accepts  func(Event) bool // opWhere
	parts    []Filter         // opAll, opAny, opNot
	hosted   bool             // a function of the host is somewhere in it
	err      error            // own mistakes and those of parts
}

type operator uint8

const (
	opTypes operator = iota
	opAttribute
	opWhere
	opAll
	opAny
	opNot
)

// Types wants the events whose type matches one of the patterns: a type, "request.*" for everything below a prefix, or
// "*". No patterns mean every lifecycle event, so that an empty list in a configuration file does.
func Types(patterns ...string) Filter {
	if len(patterns) == 0 {
		return Filter{}
	}
	n := &node{op: opTypes}
	var errs []error
	for i, text := range patterns {
		p, err := parsePattern(text, i)
		if err != nil {
			errs = append(errs, err)
		}
		n.patterns = append(n.patterns, p)
	}
	n.err = join(errs)
	return Filter{n}
}

// WithAttribute wants the events that have the attribute, and not empty.
func WithAttribute(name string) Filter {
	n := &node{op: opAttribute, name: name}
	if !validAttributeName(name) {
		n.name = strconv.Quote(clip(name)) // for String only, as for patterns
		n.err = &InvalidError{
			Field:   "attribute " + n.name,
			Problem: "is not 1 to 64 letters, digits, '_', '.' and '-'",
			Remedy:  "name an attribute such as \"external_key\"",
		}
	}
	return Filter{n}
}

// Where wants the events that accepts returns true for. It is called from many goroutines and must be quick. When it
// panics, the whole filter does not match: sending an event to somebody by mistake is worse than not sending it.
func Where(accepts func(Event) bool) Filter {
	n := &node{op: opWhere, accepts: accepts, hosted: true}
	if accepts == nil {
		n.err = &InvalidError{Field: "Where", Problem: "has no function", Remedy: "pass one, or leave Where out"}
	}
	return Filter{n}
}

// All wants what all the filters want; without any, every lifecycle event.
func All(filters ...Filter) Filter { return combine(opAll, filters) }

// Any wants what at least one of the filters wants; without any, nothing.
func Any(filters ...Filter) Filter { return combine(opAny, filters) }

// Not wants the lifecycle events that f does not want.
func Not(f Filter) Filter { return combine(opNot, []Filter{f}) }

func combine(op operator, parts []Filter) Filter {
	n := &node{op: op, parts: slices.Clone(parts)}
	var errs []error
	for _, f := range parts {
		if f.n != nil {
			n.hosted = n.hosted || f.n.hosted
			if f.n.err != nil {
				errs = append(errs, f.n.err)
			}
		}
	}
	n.err = join(errs)
	return Filter{n}
}

// join is errors.Join, but a single error stays as it is.
func join(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// Err returns the mistakes made in building the filter, all of them, each an [*InvalidError].
func (f Filter) Err() error {
	if f.n == nil {
		return nil
	}
	return f.n.err
}

// Match tells whether e is wanted. The zero Event never is.
func (f Filter) Match(e Event) (matched bool) {
	if e.p == nil || f.Err() != nil {
		return false
	}
	if f.n != nil && f.n.hosted {
		defer func() {
			if recover() != nil {
				matched = false
			}
		}()
	}
	return f.judge(e.p.typ, e).passes(e.p.typ)
}

// MatchType tells whether an event of type t could be wanted, for indexing routes by type: when it is false, no event
// of that type matches.
func (f Filter) MatchType(t Type) bool {
	return f.Err() == nil && f.judge(t, Event{}).passes(t)
}

// String returns the filter in a readable form, for example "all(request.*, not(attribute(test)))"; "*" is every
// lifecycle event.
func (f Filter) String() string {
	if f.n == nil {
		return "*"
	}
	switch f.n.op {
	case opTypes:
		texts := make([]string, len(f.n.patterns))
		for i, p := range f.n.patterns {
			texts[i] = p.text
		}
		return strings.Join(texts, "|")
	case opAttribute:
		return "attribute(" + f.n.name + ")"
	case opWhere:
		return "where(func)"
	case opAll:
		return "all(" + f.n.partsString() + ")"
	case opAny:
		return "any(" + f.n.partsString() + ")"
	default:
		return "not(" + f.n.partsString() + ")"
	}
}

func (n *node) partsString() string {
	texts := make([]string, len(n.parts))
	for i, part := range n.parts {
		texts[i] = part.String()
	}
	return strings.Join(texts, ", ")
}
