package config

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
)

// SetChannel returns the document with the channel that fragment describes, a JSON or YAML object: in the place of the
// channel of that name, or behind all others. The name need not be in it. Where fragment has [redacted], the stored
// secrets of that channel are kept, by the same rules as in [Load].
//
// The channel is made and closed again, so that everything that is wrong with it is reported. Errors are about
// fragment: lines count from its first one, and paths begin at the channel, such as "headers[0].name". Of the Options,
// Stored and Previous mean nothing here; MaxSize bounds fragment.
//
// A fragment that says what is there already gives d itself. A change costs what the channel costs, and a copy of the
// list of channels.
func (d *Document) SetChannel(name string, fragment []byte, o Options) (*Document, error) {
	return d.set("channels", name, fragment, o, func(l *loader, v, before *value) {
		if c := l.channel(v, before, madeChannel{}); c != nil {
			_ = c.release() // it never sent anything
		}
	})
}

// SetRoute returns the document with the route that fragment describes, as [Document.SetChannel] does with a channel.
// The channel, the fallback and the routes of alerts that it names have to be there.
func (d *Document) SetRoute(name string, fragment []byte, o Options) (*Document, error) {
	return d.set("routes", name, fragment, o, func(l *loader, v, before *value) { l.validateRoute(v, before) })
}

// set puts what fragment describes into a list of d. validate reports what is wrong with it beyond its fields.
func (d *Document) set(list, name string, fragment []byte, o Options, validate func(l *loader, v, before *value)) (*Document, error) {
	o.Previous, o.Stored, o.Logger = nil, nil, slog.New(slog.DiscardHandler)
	l := newLoader("", o)
	l.whole = "the " + strings.TrimSuffix(list, "s")
	f, all := l.types.document.named(list), d.list(list)
	before := all.named(name)
	v := l.readPart(f, name, fragment)
	if v == nil {
		return nil, l.err()
	}
	next := all.with(before, v)
	if most := f.maxItems(o.Caps.withDefaults()); len(next) > most {
		l.report(v, channel.CodeRange, "is one too many", fmt.Sprintf("use at most %d", most))
	}
	l.channelParts, l.routeParts = parts{list: d.list("channels"), kind: "channel"}, parts{list: d.list("routes"), kind: "route"}
	if list == "routes" {
		l.routeParts.list = next
	}
	validate(l, v, before)
	switch err := l.err(); {
	case err != nil:
		return nil, err
	case before != nil && sameValue(v, before, identical):
		return d, nil
	}
	return d.withList(f, next), nil
}

// readPart reads a channel or a route, whose field is f; nil = it cannot be read. Without a name it gets that one.
func (l *loader) readPart(f *Field, name string, fragment []byte) *value {
	n := l.parse(fragment)
	if n == nil {
		return nil
	}
	if n.kind == objectNode {
		i := slices.IndexFunc(n.fields, func(p pair) bool { return p.name == "name" })
		if i < 0 {
			n.fields = append(n.fields, pair{"name", n.at, &node{at: n.at, kind: textNode, text: name}})
		} else if given := n.fields[i].value; given.text != name {
			l.add(given.at, "name", channel.CodeConflict, "is not the name of what is changed", "leave it out, or rename that first")
		}
	}
	return l.reader().readOne(n, f, "")
}

// validateRoute reports what is wrong with the route v, one of the routeParts, which takes the place of before; nil =
// of none.
func (l *loader) validateRoute(v, before *value) {
	l.validateTenant(v)
	l.validateReference(v.get("channel"), l.channelParts)
	l.validateReference(v.get("fallback"), l.routeParts)
	collected := alerts{l, map[dispatcher.RouteID]health.Alert{}, map[string][]string{}}
	collected.add(v)
	m := madeRoute{source: v}
	r, err := routeOf(Settings{v: v}, nil)
	if err = errors.Join(err, l.make(&m)); err != nil || !v.complete() {
		l.addAll(v, err, nil)
		return
	}
	r.Tenant, r.Events, r.Retry = l.tenantOf(v), m.events, m.retry
	routes := []dispatcher.Route{r}
	if before == nil && v.has("fallback") || before != nil && (v.text("fallback") != before.text("fallback") || r.Tenant != l.tenantOf(before)) {
		routes = append(routes, l.fallbacksBeside(v)...)
	}
	found := l.validate(routes)
	l.addAll(v, errors.Join(found[0]...), routePaths)
	for i, errs := range found[1:] {
		for _, each := range errs {
			if e, ok := errors.AsType[*channel.ConfigError](each); ok && e.Path == "Protect.Fallback" {
				l.report(v, e.Code, fmt.Sprintf("is a fallback of route %s, whose own then %s", quoted(routes[1+i].Name), e.Problem), e.Remedy)
			}
		}
	}
	if before != nil && r.Tenant != l.tenantOf(before) {
		l.validateNotified(v)
	}
}

// fallbacksBeside lists what the dispatcher needs of all routes but v to judge a chain of fallbacks.
func (l *loader) fallbacksBeside(v *value) []dispatcher.Route {
	var all []dispatcher.Route
	for _, other := range l.routeParts.list {
		if other != v {
			all = append(all, dispatcher.Route{Name: other.text("name"), Tenant: l.tenantOf(other), Protect: dispatcher.Protection{Fallback: other.text("fallback")}})
		}
	}
	return all
}

// validateNotified reports that v is for another tenant than the routes whose alerts name it.
func (l *loader) validateNotified(v *value) {
	for _, other := range l.routeParts.list {
		if slices.Contains((Settings{v: other}).Object("alerts").Texts("to"), v.text("name")) && !mayNotify(l.tenantOf(v), l.tenantOf(other)) {
			at := v
			if t := v.get("tenant"); t != nil {
				at = t
			}
			l.report(at, channel.CodeForbidden, "is not the tenant of route "+quoted(other.text("name"))+", whose alerts go there", "take it out of those alerts first")
		}
	}
}

// RemoveChannel returns the document without a channel. No route may use it any more.
func (d *Document) RemoveChannel(name string) (*Document, error) {
	c, p := d.existing("channels", name)
	if c == nil {
		return nil, p.err()
	}
	for i, r := range d.list("routes") {
		if r.text("channel") == name {
			p.part = indexed("routes", i)
			p.report(r.get("channel"), channel.CodeConflict, "names the channel that is to be removed", "remove the route first, or give it another channel")
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return d.withList(c.field, d.list("channels").with(c, nil)), nil
}

// RemoveRoute returns the document without a route. No fallback and no alerts may name it any more. In an Engine, what
// waits for the route stays in its lane; see dispatcher.Engine.Purge.
func (d *Document) RemoveRoute(name string) (*Document, error) {
	r, p := d.existing("routes", name)
	if r == nil {
		return nil, p.err()
	}
	for i, other := range d.list("routes") {
		if other == r {
			continue
		}
		p.part = indexed("routes", i)
		for _, v := range other.namesOfRoutes() {
			if v.data == name {
				p.report(v, channel.CodeConflict, "names the route that is to be removed", "name another one first, or leave it out")
			}
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return d.withList(r.field, d.list("routes").with(r, nil)), nil
}

// RenameChannel returns the document with another name for a channel, also in the routes that use it. It keeps its
// secrets. A Set makes it anew: connections, and what the channel remembers by itself, begin anew.
func (d *Document) RenameChannel(name, next string) (*Document, error) {
	c, err := d.renamed("channels", name, next)
	switch {
	case err != nil:
		return nil, err
	case name == next:
		return d, nil
	}
	renamed := d.withList(c.field, d.list("channels").with(d.list("channels").named(name), c))
	routes := d.list("routes")
	changed := slices.Clone(routes)
	for i, r := range routes {
		if r.text("channel") == name {
			changed[i] = r.clone(nil)
			changed[i].get("channel").data = next
		}
	}
	if len(routes) == 0 {
		return renamed, nil
	}
	return renamed.withList(routes[0].field, changed), nil
}

// RenameRoute returns the document with another name for a route, also in fallbacks and alerts that name it. The name
// is part of the route's identity: an Engine takes it for a new route, with a lane, a status, dead letters and a
// history of its own. What waits in the lane of the name before stays there; see dispatcher.Engine.Purge.
func (d *Document) RenameRoute(name, next string) (*Document, error) {
	r, err := d.renamed("routes", name, next)
	switch {
	case err != nil:
		return nil, err
	case name == next:
		return d, nil
	}
	changed := slices.Clone(d.list("routes"))
	for i, other := range changed {
		switch {
		case other.text("name") == name:
			changed[i] = r
		case slices.ContainsFunc(other.namesOfRoutes(), func(v *value) bool { return v.data == name }):
			changed[i] = other.clone(nil)
			for _, v := range changed[i].namesOfRoutes() {
				if v.data == name {
					v.data = next
				}
			}
		}
	}
	return d.withList(r.field, changed), nil
}

// renamed returns a copy of a channel or a route with another name, which has to be free and valid.
func (d *Document) renamed(list, name, next string) (*value, error) {
	v, p := d.existing(list, name)
	if v == nil {
		return nil, p.err()
	}
	copied := v.clone(nil)
	field := copied.get("name")
	_, wrong := (&reader{problems: p}).readText(next, field.field)
	switch {
	case wrong != nil:
		p.report(field, wrong.Code, wrong.Problem, wrong.Remedy)
	case name != next && d.list(list).named(next) != nil:
		p.report(field, channel.CodeDuplicate, "is there already: "+quoted(next), "choose another name")
	case list == "routes":
		field.data = next
		l := loader{problems: p}
		l.addAll(copied, errors.Join(l.validate([]dispatcher.Route{{Name: next}})[0]...), routePaths)
	}
	field.data = next
	return copied, p.err()
}

// SetState returns the document with all routes of a channel enabled, disabled or paused. If they are so already, it is
// d itself.
func (d *Document) SetState(name string, s dispatcher.State) (*Document, error) {
	c, p := d.existing("channels", name)
	if s > dispatcher.Paused {
		p.add(position{}, "state", channel.CodeUnknown, "is unknown", "use enabled, disabled or paused")
	}
	if err := p.err(); err != nil || c == nil {
		return nil, err
	}
	routes := d.list("routes")
	changed := slices.Clone(routes)
	for i, r := range routes {
		if r.text("channel") == name && stateOf(r) != s {
			changed[i] = r.clone(nil)
			changed[i].put("state", s.String())
		}
	}
	if slices.Equal(changed, routes) {
		return d, nil
	}
	return d.withList(routes[0].field, changed), nil
}

// existing finds a channel or a route, and makes what collects the problems of a change of it.
func (d *Document) existing(list, name string) (*value, *problems) {
	p := &problems{placeless: true}
	v := d.list(list).named(name)
	if v == nil {
		all := parts{list: d.list(list)}
		p.add(position{}, list, channel.CodeUnknown, "has none of the name "+quoted(name), "name one that is there"+amongNames(&p.suggester, name, len(all.list), all.names))
	}
	return v, p
}

// withList returns the document with another list of the field f.
func (d *Document) withList(f *Field, parts list) *Document {
	var fields object
	if d.root != nil {
		fields = d.root.fields()
	}
	root, all := &value{}, &value{field: f, data: parts}
	all.parent = root
	i := slices.IndexFunc(fields, func(v *value) bool { return v.name() == f.Name })
	switch {
	case i >= 0:
		fields = slices.Clone(fields)
		fields[i] = all
	case f.Name == "channels" && len(fields) > 0 && fields[len(fields)-1].name() == "routes":
		fields = slices.Insert(slices.Clone(fields), len(fields)-1, all)
	default:
		fields = append(slices.Clone(fields), all)
	}
	root.data = fields
	return &Document{root: root, edited: true}
}

// with returns the list with after in the place of before; without before, after is the last, and without after, before
// is gone.
func (l list) with(before, after *value) list {
	next := make(list, 0, len(l)+1)
	for _, v := range l {
		switch {
		case v != before:
			next = append(next, v)
		case after != nil:
			next = append(next, after)
		}
	}
	if before == nil {
		next = append(next, after)
	}
	return next
}

// clone returns a copy of all of v.
func (v *value) clone(parent *value) *value {
	c := &value{field: v.field, parent: parent, data: v.data, at: v.at}
	each := func(all []*value) []*value {
		copies := make([]*value, len(all))
		for i, inner := range all {
			copies[i] = inner.clone(c)
		}
		return copies
	}
	switch data := v.data.(type) {
	case object:
		c.data = object(each(data))
	case list:
		c.data = list(each(data))
	}
	return c
}

// put sets a field of an object that nobody else has.
func (v *value) put(field string, data any) {
	if f := v.get(field); f != nil {
		f.data = data
		return
	}
	var fields object
	for f := range v.table().all() {
		if f.Name == field {
			fields = append(fields, &value{field: f, parent: v, data: data})
		} else if there := v.get(f.Name); there != nil {
			fields = append(fields, there)
		}
	}
	v.data = fields
}

// namesOfRoutes lists the names of other routes that a route has.
func (v *value) namesOfRoutes() []*value {
	names := slices.Clone(v.get("alerts").get("to").items())
	if fallback := v.get("fallback"); fallback != nil {
		names = append(names, fallback)
	}
	return names
}
