package event

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Filter says which events are wanted. The zero Filter wants every lifecycle event. Filters are immutable, safe for
// concurrent use, and combine with [All], [Any] and [Not].
//
// The library's own events, "tocsin.*", match only when a pattern that begins with "tocsin." names them; otherwise
// every channel would be sent its own failures. The zero Filter, "*", [Not], [Where] and [WithAttribute]
// restrict own events that are named elsewhere in the filter, but let none through by themselves:
// All(Types("tocsin.*"), Not(Types("tocsin.channel_recovered"))) wants all but one.
//
// A mistake in a filter is reported by [Filter.Err]; a filter with a mistake matches nothing. [Filter.Validate]
// also finds types that do not exist.
type Filter struct{ n *filterNode }

type filterNode struct {
	op          operator
	patterns    []pattern        // opTypes
	name        string           // opAttribute
	accepts     func(Event) bool // opWhere
	parts       []Filter         // opAll, opAny, opNot
	callsHost   bool             // opWhere is somewhere in it
	err         error            // own mistakes and those of parts
	description string           // "" = String tells how it is built
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
	n := &filterNode{op: opTypes, patterns: make([]pattern, 0, len(patterns))}
	var errs []error
	for i, text := range patterns {
		p, err := parsePattern(text, i)
		if err != nil {
			errs = append(errs, err)
		}
		n.patterns = append(n.patterns, p)
	}
	n.err = joinErrors(errs)
	return Filter{n}
}

// WithAttribute wants the events that have the attribute, and not empty.
func WithAttribute(name string) Filter {
	n := &filterNode{op: opAttribute, name: name}
	if !validAttributeName(name) {
		n.name = strconv.Quote(clipText(name)) // for String only, as for patterns
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
	n := &filterNode{op: opWhere, accepts: accepts, callsHost: true}
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
	n := &filterNode{op: op, parts: slices.Clone(parts)}
	var errs []error
	for _, f := range parts {
		if f.n != nil {
			n.callsHost = n.callsHost || f.n.callsHost
			if f.n.err != nil {
				errs = append(errs, f.n.err)
			}
		}
	}
	n.err = joinErrors(errs)
	return Filter{n}
}

// WithDescription returns a filter that wants what f wants and whose String is text: the words of whoever configured
// it, for people who know those. "" = how it is built.
func (f Filter) WithDescription(text string) Filter {
	n := filterNode{op: opAll} // without parts it wants what the zero Filter does
	if f.n != nil {
		n = *f.n
	}
	n.description = text
	return Filter{&n}
}

// joinErrors is errors.Join, but a single error stays as it is.
func joinErrors(errs []error) error {
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

// Equal reports whether f and g are one filter, or built alike, in the same order, with the same descriptions: then
// they want the same events. A filter with [Where] equals only itself and what is built alike of it, because functions
// cannot be compared.
func (f Filter) Equal(g Filter) bool {
	a, b := f.n, g.n
	if a == nil || b == nil || a == b {
		return a == b
	}
	return a.op == b.op && a.op != opWhere && a.name == b.name && a.description == b.description &&
		slices.Equal(a.patterns, b.patterns) && slices.EqualFunc(a.parts, b.parts, Filter.Equal)
}

// Match reports whether e is wanted. The zero Event never is.
func (f Filter) Match(e Event) (matched bool) {
	if e.p == nil || f.Err() != nil {
		return false
	}
	if f.n != nil && f.n.callsHost {
		defer func() {
			if recover() != nil {
				matched = false
			}
		}()
	}
	return f.evaluate(e.p.typ, e).passes(e.p.typ)
}

// MatchType reports whether an event of type t could be wanted, for indexing routes by type: when it is false, no event
// of that type matches.
func (f Filter) MatchType(t Type) bool {
	return f.Err() == nil && f.evaluate(t, Event{}).passes(t)
}

// String returns its description or, without one, how the filter is built, for example "all(request.*,
// not(attribute(test)))"; "*" is every lifecycle event.
func (f Filter) String() string {
	switch {
	case f.n == nil:
		return "*"
	case f.n.description != "":
		return f.n.description
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

func (n *filterNode) partsString() string {
	texts := make([]string, len(n.parts))
	for i, part := range n.parts {
		texts[i] = part.String()
	}
	return strings.Join(texts, ", ")
}

// matchResult is what a filter says about one event, or about all events of one type.
type matchResult struct {
	may   bool // at least one of them matches
	must  bool // all of them match
	named bool // a pattern names their type, which is reserved, and they may match
}

func certain(match bool) matchResult { return matchResult{may: match, must: match} }

// passes is the rule for the library's own events: matching is not enough, they must be named.
func (r matchResult) passes(t Type) bool { return r.may && (r.named || !t.isReserved()) }

// evaluate applies the filter to the event e of type t, or to all events of type t when e is zero.
func (f Filter) evaluate(t Type, e Event) matchResult {
	n := f.n
	if n == nil {
		return certain(true)
	}
	switch n.op {
	case opTypes:
		return n.evaluateTypes(t)
	case opAttribute:
		if e.p == nil {
			return matchResult{may: true}
		}
		value, _ := e.Attribute(n.name)
		return certain(value != "")
	case opWhere:
		if e.p == nil {
			return matchResult{may: true}
		}
		return certain(n.accepts(e))
	case opAll:
		return n.evaluateAll(t, e)
	case opAny:
		return n.evaluateAny(t, e)
	default:
		r := n.parts[0].evaluate(t, e)
		return matchResult{may: !r.must, must: !r.may}
	}
}

func (n *filterNode) evaluateTypes(t Type) matchResult {
	all := certain(false)
	for _, p := range n.patterns {
		if p.match(t) {
			all = matchResult{may: true, must: true, named: all.named || p.isReserved()}
		}
	}
	return all
}

func (n *filterNode) evaluateAll(t Type, e Event) matchResult {
	all := certain(true)
	for _, part := range n.parts {
		r := part.evaluate(t, e)
		if !r.may {
			return certain(false)
		}
		all = matchResult{may: true, must: all.must && r.must, named: all.named || r.named}
	}
	return all
}

func (n *filterNode) evaluateAny(t Type, e Event) matchResult {
	all := certain(false)
	for _, part := range n.parts {
		r := part.evaluate(t, e)
		all = matchResult{may: all.may || r.may, must: all.must || r.must, named: all.named || r.named}
		if all.must && all.passes(t) {
			return all
		}
	}
	return all
}

// pattern is one argument of [Types]: "*", a prefix such as "request." or a whole type.
type pattern struct {
	text   string // as given; quoted when it is not a pattern
	prefix string // for "*" and "request.*": what the type must begin with
	whole  bool   // text is the type
}

// parsePattern reads the pattern at a position of the list, counted from 0.
func parsePattern(text string, position int) (pattern, error) {
	prefix, wild := strings.CutSuffix(text, "*")
	valid := text == "*"
	if wild && !valid {
		stem, dotted := strings.CutSuffix(prefix, ".")
		valid = dotted && validSegments(stem)
	}
	if !wild {
		valid = Type(text).validate() == nil
	}
	p := pattern{text: text, prefix: prefix, whole: !wild}
	if valid && len(text) <= maxTypeLength {
		return p, nil
	}
	p.text = strconv.Quote(clipText(text)) // for String only, as a filter with a mistake matches nothing
	return p, &InvalidError{
		Field:   fmt.Sprintf("patterns[%d]", position),
		Problem: "is " + p.text + ", which is neither a type nor a prefix of types",
		Remedy:  "write a type (\"request.pending\"), a prefix (\"request.*\") or \"*\"",
	}
}

// clipText shortens a text that is far too long, so that an error stays readable.
func clipText(text string) string {
	if len(text) <= maxTypeLength {
		return text
	}
	return clipBytes(text, maxTypeLength) + "…"
}

func (p pattern) match(t Type) bool {
	if p.whole {
		return p.text == string(t)
	}
	return strings.HasPrefix(string(t), p.prefix)
}

// isReserved reports whether the pattern names the library's own events.
func (p pattern) isReserved() bool { return strings.HasPrefix(p.text, reservedPrefix) }

// Validate is [Filter.Err] and also reports patterns that match no type: a route with a misspelt one would never
// receive anything. Types are those of the catalogue and own, the host's. Without own, a pattern may stand for one of
// the host's types, so it is only reported when it resembles one of the catalogue or begins with "tocsin.". The error
// joins an [*InvalidError] for each.
func (f Filter) Validate(own ...Type) error {
	if err := f.Err(); err != nil {
		return err
	}
	return joinErrors(f.unmatched(append(Catalogue(), own...), len(own) > 0))
}

// unmatched returns what is wrong with the patterns of f; strict says that known are all types that there are.
func (f Filter) unmatched(known []Type, strict bool) []error {
	if f.n == nil {
		return nil
	}
	var errs []error
	for i, p := range f.n.patterns {
		if slices.ContainsFunc(known, p.match) {
			continue
		}
		like := p.nearest(known)
		if like == "" && !strict && !p.isReserved() {
			continue
		}
		remedy := "use a type of the catalogue, or name the host's own types"
		if like != "" {
			remedy = fmt.Sprintf("did you mean %q? If it is the host's own, name the host's types", like)
		}
		errs = append(errs, &InvalidError{
			Field: fmt.Sprintf("patterns[%d]", i), Problem: fmt.Sprintf("is %q, which matches no type of events", p.text), Remedy: remedy,
		})
	}
	for _, part := range f.n.parts {
		errs = append(errs, part.unmatched(known, strict)...)
	}
	return errs
}

// nearest returns the type, or the prefix of types, that the pattern is probably a misspelling of; "" when there is
// none.
func (p pattern) nearest(known []Type) string {
	best, least := "", 3
	for _, t := range known {
		candidate, most := string(t), 1
		family, _, _ := strings.Cut(candidate, ".")
		switch {
		case !p.whole:
			candidate = family + ".*"
		case strings.HasPrefix(p.text, family+"."):
			most = 2
		}
		if d := editDistance(p.text, candidate); d <= most && d < least {
			best, least = candidate, d
		}
	}
	return best
}

// editDistance counts the bytes to insert, delete, replace or swap with their neighbour to turn a into b.
func editDistance(a, b string) int {
	before, previous, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return previous[len(b)]
}
