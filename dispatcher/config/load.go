package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

// Load reads a document, in JSON or YAML by the ending of the file's name (otherwise JSON begins with a brace), and
// makes what it describes. The name is for errors; nothing is read but src. Load connects to nothing. What it costs
// is in proportion to the size of src with its aliases written out, which Options.MaxSize bounds. The error joins an
// *Error for everything that is wrong, in the order of the document; there is no Set then. What is allowed but
// probably not meant, [Set.Findings] lists.
func Load(file string, src []byte, o Options) (*Set, error) {
	if o.Stored == nil && o.Previous != nil {
		o.Stored = o.Previous.Document
	}
	l := loader{problems: &problems{file: file}, options: o}
	most := cmp.Or(o.MaxSize, defaultMaxSize)
	if len(src) > most {
		l.add(position{}, "", channel.CodeRange, fmt.Sprintf("has more than %d bytes", most), "split it")
		return nil, l.err()
	}
	n := parse(src, most, l.problems)
	if n == nil {
		return nil, l.err()
	}
	caps := o.Caps.withDefaults()
	types := o.Types.withBuiltIn()
	r := reader{l.problems, o.References, caps, map[string]*regexp.Regexp{}}
	root := r.readObject(n, nil, documentTable(o.Types), "")
	if root == nil {
		return nil, l.err()
	}
	l.validateVocabularies()
	set := &Set{Document: &Document{root}, file: file, samples: slices.Clone(o.Samples), types: slices.Clone(o.EventTypes), filters: map[string][]event.Filter{}}
	made := l.channels(root, types, set)
	l.routes(root, made, set)
	if len(l.all) > 0 {
		_ = set.Close() // what was made never sent anything
		return nil, l.err()
	}
	return set, nil
}

type loader struct {
	*problems
	options Options
}

// byName finds the items of a list by their names, and reports those that have the same one.
func (l *loader) byName(list *value) map[string]*value {
	found := map[string]*value{}
	if list == nil {
		return found
	}
	for _, item := range list.items {
		name := item.get("name")
		if name == nil {
			continue
		}
		text := item.text("name")
		if first := found[text]; first != nil {
			l.report(name, channel.CodeDuplicate, fmt.Sprintf("is also the name of %s", first.path), "give every one its own name")
			continue
		}
		found[text] = item
	}
	return found
}

// channels makes the channels, by name. Those that are wrong are nil.
func (l *loader) channels(root *value, types Registry, set *Set) map[string]channel.Channel {
	var stored map[string]*value
	if l.options.Stored != nil {
		ignored := loader{problems: &problems{}}
		stored = ignored.byName(l.options.Stored.root.get("channels"))
	}
	set.env, set.byName = l.options.environment(), map[string]*sharedChannel{}
	guards, limits, words := networks(l.options, set.env.Guard), policies(l.options), vocabularies(l.options)
	made := map[string]channel.Channel{}
	list := root.get("channels")
	if list == nil {
		return made
	}
	use := func(c *sharedChannel) {
		name := c.source.text("name")
		made[name], set.byName[name] = c.Channel, c
		set.channels = append(set.channels, c) // even if something else is wrong, so that it is closed
	}
	known := l.byName(list)
	for _, v := range list.items {
		name := v.text("name")
		if known[name] != v {
			continue // a name is missing or used twice, which is reported already
		}
		made[name] = nil
		before := stored[name]
		if before != nil && before.text("type") != v.text("type") {
			before = nil
		}
		l.restore(v, before)
		e := set.env
		e.Guard = offered(l.problems, v, "network", defaultNetwork, guards)
		e.Limits = offered(l.problems, v, "limits", defaultLimits, limits)
		if v.has("vocabulary") {
			e.Words = offered(l.problems, v, "vocabulary", "", words)
		}
		if before := l.unchanged(v, e); before != nil {
			use(before)
			continue
		}
		t, whole := types[v.text("type")], v.complete() && firstKept(v) == nil
		if !whole && !t.partial {
			continue // which is reported already
		}
		c, err := t.channel(Settings{v}, e)
		if err != nil {
			l.addAll(v, err, t.Paths)
			continue
		}
		if !whole {
			_ = closeChannel(c)
			continue
		}
		use(newSharedChannel(c, v, e))
	}
	return made
}

// validateVocabularies reports mistakes of the host's, which would make filters and bodies say something else than is
// meant.
func (l *loader) validateVocabularies() {
	for _, name := range names(l.options.Vocabularies) {
		for _, err := range flatten(l.options.Vocabularies[name].Validate()) {
			l.add(position{}, "", channel.CodeInvalid, "cannot be read: of the host's vocabulary "+quoted(name)+", "+err.Error(), "have the host correct it")
		}
	}
}

// routes makes the routes.
func (l *loader) routes(root *value, made map[string]channel.Channel, set *Set) {
	list := root.get("routes")
	if list == nil {
		return
	}
	news := alerts{l.problems, l.options.Tenant, l.byName(list), map[dispatcher.RouteID]health.Alert{}, map[string]map[string]bool{}}
	f := newFilters(l.options, &l.suggester)
	channelsKnown, routesKnown := allNamed(root.get("channels")), allNamed(list)
	var from []*value
	for _, v := range list.items {
		l.validateTenant(v)
		if channelsKnown {
			reportUnknown(l, v, "channel", "channel", made)
		}
		if routesKnown {
			reportUnknown(l, v, "fallback", "route", news.routes)
		}
		news.add(v)
		r, err := routeOf(Settings{v}, made[v.text("channel")], f)
		if err != nil {
			l.addAll(v, err, nil)
			continue
		}
		if !v.complete() {
			continue
		}
		if !v.has("tenant") {
			r.Tenant = l.options.Tenant
		}
		set.Routes, from = append(set.Routes, r), append(from, v)
	}
	for i := range set.Routes {
		news.extend(&set.Routes[i])
		name := from[i].text("channel")
		set.filters[name] = append(set.filters[name], set.Routes[i].Events)
	}
	set.Alerts = news.all
	l.validateRoutes(set.Routes, from)
}

// reportUnknown reports a field of v that names nothing of that kind.
func reportUnknown[T any](l *loader, v *value, field, kind string, all map[string]T) {
	at := v.get(field)
	if at == nil {
		return
	}
	if _, ok := all[v.text(field)]; !ok {
		l.report(at, channel.CodeUnknown, "names no "+kind, "name one of the "+kind+"s"+among(&l.suggester, v.text(field), all))
	}
}

// allNamed reports whether all items of a list have a name, so that a name that is not there is a mistake.
func allNamed(list *value) bool {
	return list == nil || !slices.ContainsFunc(list.items, func(v *value) bool { return v.get("name") == nil })
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

// validateRoutes asks the dispatcher what is wrong with routes, which were made of the values from. A route whose
// channel is wrong has none, and one that is wrong itself is not among them: that is reported already.
func (l *loader) validateRoutes(routes []dispatcher.Route, from []*value) {
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
	for _, each := range flatten(err) {
		if e, ok := errors.AsType[*channel.ConfigError](each); ok {
			index, field, _ := strings.Cut(strings.TrimPrefix(e.Path, "Routes["), "].")
			if i, ok := atoi(index); ok && field != "Channel" {
				moved := *e
				moved.Path = field
				found[i] = append(found[i], &moved)
			}
		}
	}
	for i, errs := range found {
		l.addAll(from[i], errors.Join(errs...), routePaths)
	}
}

// offered finds what a field of a channel names among what the host offers.
func offered[T any](p *problems, of *value, field, def string, all map[string]T) T {
	name := cmp.Or(of.text(field), def)
	found, ok := all[name]
	if !ok {
		p.report(of.get(field), channel.CodeUnknown, "is not offered by the host", "name one that is"+among(&p.suggester, name, all))
	}
	return found
}
