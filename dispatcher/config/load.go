package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/health"
	"github.com/tocsin-go/tocsin/event"
)

// Options are the host's part of a configuration: what documents may use. The zero value allows public addresses,
// secrets given as text and events without a tenant, and nothing else: set Tenant for documents that tenants write.
type Options struct {
	// Types are types of channels besides webhook, slack and email.
	Types Registry
	// References finds secrets by the word before the colon: {"env": Env, "file": File}, or a vault of the host's. nil =
	// secrets are given as text.
	References map[string]Reference
	// Networks are the guards that channels may name. The one named public is used by channels that name none; unless
	// given, it allows public addresses only.
	Networks map[string]*netguard.Guard
	// Limits are policies that channels may name, besides apono and beyondtrust_cloud. The one named default is used by
	// channels that name none; unless given, it is the zero value.
	Limits map[string]netguard.Limits
	// EventTypes are the host's own types of events, for filters.
	EventTypes []event.Type
	// Samples are examples of events of those types, by which Set.Findings judges templates.
	Samples []event.Event
	// Vocabularies are receivers' words for types of events that documents may name, besides those of event.Vocabularies.
	// Filters may use the words of all of them, too.
	Vocabularies map[string]event.Vocabulary
	// Tenant is whose document this is: every route takes that tenant's events and no others, whatever the document says.
	// Empty = the routes take events without a tenant.
	Tenant string
	// Tenants are other tenants whose events routes may ask for, by their ids. dispatcher.AnyTenant among them allows
	// every id, and routes that take the events of all tenants. It is for documents of the operator's.
	Tenants []string
	// Stored is the document that this one replaces: where this one has [redacted], its secrets are kept. nil = that of
	// Previous.
	Stored *Document
	// Previous is the Set that this one replaces. A channel that the document describes as before, for the same network,
	// limits and stores, is that of Previous: its connections, the pace of its messages and what it remembers live on.
	// Give it only while Types and References mean what they meant for it. It has to be closed like any other, before or
	// after the new one.
	Previous *Set
	// SlackReferences remembers Slack's messages by subject, for bots; MailProgress remembers who has got a mail. nil =
	// those of Previous, or one in memory.
	SlackReferences slack.References
	MailProgress    email.Progress

	MaxSize int          // of the document with its aliases written out, in bytes; 0 = DefaultMaxSize
	Caps    Caps         // the largest numbers that the document may ask for
	Logger  *slog.Logger // of the channels; nil = slog.Default
}

// Set is what a document describes. Give Routes to the dispatcher; close the Set when no Send of its channels is
// running any more, for example after SetRoutes has returned.
type Set struct {
	Routes   []dispatcher.Route
	Alerts   map[string]health.Alert // by route, for the health.Monitor
	Document *Document

	channels []*sharedChannel
	byName   map[string]*sharedChannel

	// For a Set that replaces this one.
	public     *netguard.Guard
	references slack.References
	progress   email.Progress

	// For Findings.
	file    string
	samples []event.Event
	types   []event.Type              // all that there are
	filters map[string][]event.Filter // by channel
}

var _ io.Closer = (*Set)(nil)

// Load reads a document, in JSON or YAML by the ending of the file's name (otherwise JSON begins with a brace), and
// makes what it describes. The name is for errors; nothing is read but src. Load connects to nothing. What it costs is
// in proportion to the size of src with its aliases written out, which Options.MaxSize bounds. The error joins an
// *Error for everything that is wrong, in the order of the document; there is no Set then. What is allowed but probably
// not meant, [Set.Findings] tells.
func Load(file string, src []byte, o Options) (*Set, error) {
	if o.Stored == nil && o.Previous != nil {
		o.Stored = o.Previous.Document
	}
	l := loader{problems: &problems{file: file}, options: o}
	most := cmp.Or(o.MaxSize, DefaultMaxSize)
	if len(src) > most {
		l.add(position{}, "", channel.CodeRange, fmt.Sprintf("has more than %d bytes", most), "split it")
		return nil, l.err()
	}
	n := parse(src, most, l.problems)
	if n == nil {
		return nil, l.err()
	}
	caps := o.Caps.withDefaults()
	types := o.Types.withBuiltIn(caps)
	r := reader{l.problems, o.References, map[string]*regexp.Regexp{}}
	root := r.object(n, nil, documentFields(types, caps), "")
	if root == nil {
		return nil, l.err()
	}
	l.checkVocabularies()
	set := &Set{Document: &Document{root}, file: file, samples: slices.Clone(o.Samples), types: slices.Clone(o.EventTypes), filters: map[string][]event.Filter{}}
	made := l.channels(root, types, set)
	l.routes(root, made, set)
	if len(l.all) > 0 {
		_ = set.Close() // what was made never sent anything
		return nil, l.err()
	}
	return set, nil
}

// Close closes the channels that no other Set uses, the first time it is called. It may not be called concurrently.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.channels {
		errs = append(errs, c.leave())
	}
	s.channels = nil
	return errors.Join(errs...)
}

// String tells how much there is, because a Set may hold secrets.
func (s *Set) String() string {
	return fmt.Sprintf("config.Set(%d channels, %d routes)", len(s.channels), len(s.Routes))
}

// GoString is String.
func (s *Set) GoString() string { return s.String() }

type loader struct {
	*problems
	options Options
}

// unique finds the items of a list by their names, and reports those that have the same one.
func (l *loader) unique(list *value) map[string]*value {
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
		quiet := loader{problems: &problems{}}
		stored = quiet.unique(l.options.Stored.root.get("channels"))
	}
	set.public = publicGuard(l.options)
	guards, limits, words := networks(l.options, set.public), policies(l.options), vocabularies(l.options)
	references, progress := stores(l.options)
	set.references, set.progress, set.byName = references, progress, map[string]*sharedChannel{}
	made := map[string]channel.Channel{}
	list := root.get("channels")
	if list == nil {
		return made
	}
	use := func(c *sharedChannel) {
		name := c.made.text("name")
		made[name], set.byName[name] = c.Channel, c
		set.channels = append(set.channels, c) // even if something else is wrong, so that it is closed
	}
	known := l.unique(list)
	for _, v := range list.items {
		name := v.text("name")
		if known[name] != v {
			continue // a name is missing or used twice, which has been said
		}
		made[name] = nil
		before := stored[name]
		if before != nil && before.text("type") != v.text("type") {
			before = nil
		}
		l.restore(v, before)
		e := Environment{
			Guard:      named(l.problems, v, "network", defaultNetwork, guards),
			Limits:     named(l.problems, v, "limits", defaultLimits, limits),
			Words:      l.words(v, words),
			References: references, Progress: progress,
			Logger: cmp.Or(l.options.Logger, slog.Default()),
		}
		if before := l.unchanged(v, e); before != nil {
			use(before)
			continue
		}
		t, whole := types[v.text("type")], v.complete() && firstKept(v) == nil
		if !whole && !t.partial {
			continue // which has been said
		}
		c, err := t.channel(Settings{v}, e)
		if err != nil {
			l.made(v, err, t.Paths)
			continue
		}
		if !whole {
			closeChannel(c)
			continue
		}
		use(share(c, v, e))
	}
	return made
}

// words finds the vocabulary that a channel names.
func (l *loader) words(v *value, offered map[string]event.Vocabulary) event.Vocabulary {
	if !v.has("vocabulary") {
		return nil
	}
	return named(l.problems, v, "vocabulary", "", offered)
}

// checkVocabularies reports mistakes of the host's, which would make filters and bodies say something else than is
// meant.
func (l *loader) checkVocabularies() {
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
	news := alerts{l.problems, l.options.Tenant, l.unique(list), map[string]health.Alert{}, map[string]map[string]bool{}}
	f := newFilters(l.options, &l.suggester)
	channelsKnown, routesKnown := whole(root.get("channels")), whole(list)
	var from []*value
	for _, v := range list.items {
		l.tenant(v)
		if channelsKnown {
			known(l, v, "channel", "channel", made)
		}
		if routesKnown {
			known(l, v, "fallback", "route", news.routes)
		}
		news.read(v)
		r, err := route(Settings{v}, made[v.text("channel")], f)
		if err != nil {
			l.made(v, err, nil)
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
	l.check(set.Routes, from)
}

// known reports a field of v that names nothing of that kind.
func known[T any](l *loader, v *value, field, kind string, all map[string]T) {
	at := v.get(field)
	if at == nil {
		return
	}
	if _, ok := all[v.text(field)]; !ok {
		l.report(at, channel.CodeUnknown, "names no "+kind, "name one of the "+kind+"s"+among(&l.suggester, v.text(field), all))
	}
}

// whole tells whether all items of a list have a name, so that a name that is not there is a mistake.
func whole(list *value) bool {
	return list == nil || !slices.ContainsFunc(list.items, func(v *value) bool { return v.get("name") == nil })
}

// tenant refuses a tenant that the host has not allowed.
func (l *loader) tenant(v *value) {
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

func (o Options) allowsTenant(id string) bool {
	return slices.Contains(o.Tenants, id) || id != "" && slices.Contains(o.Tenants, dispatcher.AnyTenant)
}

// check asks the dispatcher what it would say to routes, which were made of the values from. A route whose channel is
// wrong has none, and one that is wrong itself is not among them: that has been said.
func (l *loader) check(routes []dispatcher.Route, from []*value) {
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
		l.made(from[i], errors.Join(errs...), routePaths)
	}
}
