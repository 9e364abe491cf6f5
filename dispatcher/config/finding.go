package config

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// Severity says how bad a Finding is.
type Severity uint8

// The severities.
const (
	Warning Severity = iota + 1 // probably not what was meant
	Failing                     // with some events nothing can be sent
)

// String returns the severity in lower case.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Failing:
		return "failing"
	}
	return "unknown"
}

// Finding is something in a document that loads and is probably a mistake, such as a path in a template that no
// event has. Like an Error it holds no secret.
type Finding struct {
	File         string
	Line, Column int    // of the field in the document, from 1; 0 = the document was changed since it was read
	Path         string // of the field, for example "channels[2].body.template"
	Severity     Severity
	Kind         template.Kind     // for a user interface that shows its own text; "" = it is not about a template
	Template     template.Position // within the template; zero = it is not about one
	Message      string
	Hint         string // what to do; may be empty
}

// String returns the finding in one line, as errors are worded.
func (f Finding) String() string {
	text := place(f.File, f.Line, f.Column) + f.Severity.String() + ": " + f.Path
	if f.Template.Line > 0 {
		text += fmt.Sprintf(", in its line %d, column %d", f.Template.Line, f.Template.Column)
	}
	text += ": " + f.Message
	if f.Hint != "" {
		text += "; " + f.Hint
	}
	return text
}

const (
	maxFindings  = 100 // which a person can be expected to read
	maxTemplates = 200 // that are looked at, each with every type of event
)

// Findings reports what loads and is probably a mistake, in the order of the document, at most 100. It renders the
// templates of each channel, of at most 200 in all, with examples of the events that its routes take, and
// variations of those: more work than Load, which ctx bounds. A user interface shows them beside the editor,
// before or after saving; a host that loads what was saved need not ask.
func (s *Set) Findings(ctx context.Context) []Finding {
	f := finder{ctx: ctx, set: s, decoded: map[event.Type]map[string]any{}, filters: map[string][]event.Filter{}}
	for _, r := range s.made {
		name := r.source.text("channel")
		f.filters[name] = append(f.filters[name], r.events)
	}
	for _, e := range s.examples() {
		f.types = append(f.types, e.Type())
		f.decoded[e.Type()] = withEnvelope(e)
	}
	for i, v := range s.Document.list("channels") {
		f.part = indexed("channels", i)
		f.channel(v, s.channels[i].compiled)
	}
	slices.SortStableFunc(f.all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Template.Line, b.Template.Line), cmp.Compare(a.Template.Column, b.Template.Column))
	})
	return f.all[:min(len(f.all), maxFindings)]
}

type finder struct {
	ctx     context.Context //nolint:containedctx // for one call
	set     *Set
	types   []event.Type                  // of which there are examples
	decoded map[event.Type]map[string]any // examples
	filters map[string][]event.Filter     // of the routes, by channel
	part    string                        // path of the channel that is looked at
	all     []Finding

	templates int // so far
}

func (f *finder) isDone() bool { return f.ctx.Err() != nil || len(f.all) > maxFindings }

// channel looks at the templates and the secrets of a channel.
func (f *finder) channel(v *value, compiled []compiledTemplate) {
	var types []event.Type
	complete := false
	if len(compiled) > 0 {
		types, complete = f.takenBy(v.text("name"))
	}
	for _, c := range compiled {
		if f.isDone() {
			return
		}
		text, _ := v.locate(c.path)
		switch f.templates++; {
		case f.templates <= maxTemplates:
			f.template(text, c.template, types, complete)
		case f.templates == maxTemplates+1:
			f.add(text, Warning, template.Finding{Kind: template.KindLimit, Message: "this template and those behind it were not looked at, because there are so many", Hint: "ask for a part of the document"})
		}
	}
	f.secrets(v)
}

// secrets looks at the secrets in v.
func (f *finder) secrets(v *value) {
	if f.isDone() {
		return
	}
	if c, ok := v.data.(credential); ok && c.reference == "" {
		if text, err := c.value.Reveal(f.ctx); err == nil && strings.HasSuffix(text, "\n") {
			f.add(v, Warning, template.Finding{Message: "the secret ends with a line break, which is part of it", Hint: "write it in one line, or behind |- in place of |"})
		}
	}
	for _, inner := range v.inner() {
		f.secrets(inner)
	}
}

// template compares the template t of the text v with each type of event that the channel gets. A path that some of
// them have is fine: what the template makes of the others is for the trial to say, with the one that it fits best.
func (f *finder) template(v *value, t *template.Template, types []event.Type, complete bool) {
	var common []template.Finding
	var best map[string]any
	fewest := 0
	for _, typ := range types {
		found := t.Lint(f.decoded[typ])
		if best == nil {
			common = found
		} else {
			common = slices.DeleteFunc(common, func(a template.Finding) bool {
				return !slices.ContainsFunc(found, func(b template.Finding) bool { return a.Position == b.Position && a.Kind == b.Kind && a.Path == b.Path })
			})
		}
		if best == nil || len(found) < fewest {
			best, fewest = f.decoded[typ], len(found)
		}
	}
	if complete {
		for _, one := range common {
			f.add(v, Warning, one)
		}
	}
	if best == nil {
		return
	}
	for _, one := range t.Trial(f.ctx, best) {
		if one.Kind == template.KindEmpty && v.field.optional {
			continue
		}
		severity := Failing
		if one.Kind == template.KindEmpty {
			severity = Warning
		}
		f.add(v, severity, one)
	}
}

func (f *finder) add(v *value, severity Severity, found template.Finding) {
	at := v.at
	if f.set.Document.edited {
		at = position{}
	}
	f.all = append(f.all, Finding{
		File: f.set.Document.file, Line: int(at.line), Column: int(at.column), Path: join(f.part, v.path()),
		Severity: severity, Kind: found.Kind, Template: found.Position, Message: found.Message, Hint: found.Hint,
	})
}

// takenBy lists the types of which there are examples and which a channel gets from its routes, or, if no route
// names it, from one that takes every lifecycle event. complete says that there are no other types.
func (f *finder) takenBy(channel string) (types []event.Type, complete bool) {
	filters := f.filters[channel]
	if filters == nil {
		filters = []event.Filter{{}}
	}
	takes := func(t event.Type) bool {
		return slices.ContainsFunc(filters, func(f event.Filter) bool { return f.MatchType(t) })
	}
	for _, t := range f.types {
		if takes(t) {
			types = append(types, t)
		}
	}
	return types, !slices.ContainsFunc(f.set.types, func(t event.Type) bool { return f.decoded[t] == nil && takes(t) })
}

// withEnvelope is the decoded form of e with null where it has not all that the form of an event may have besides its
// data: a template that asks for a tenant, or whether the event is a test, is no mistake.
func withEnvelope(e event.Event) map[string]any {
	decoded := maps.Clone(e.Decoded())
	for _, name := range []string{"test", "tenant", "subject", "source", "attributes", "shortened"} {
		if _, ok := decoded[name]; !ok {
			decoded[name] = nil
		}
	}
	return decoded
}

// examples are events of every type of which there is one.
func (s *Set) examples() []event.Event {
	var all []event.Event
	for _, t := range event.Catalogue() {
		if e, ok := event.Sample(t); ok {
			all = append(all, e)
		}
	}
	return append(all, s.samples...)
}
