package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/internal/joined"
	"github.com/tocsin-go/tocsin/retry"
)

// Broken is a channel or a route of a stored document that cannot be made, for example because the host offers its
// network no more, or because a later version of this package wrote it. Its events wait: the routes of a broken channel
// are paused, and a broken route is a paused one of its name for every lifecycle event. Without a name that is its own,
// it has no route.
//
// In the Document the part shows its name and type only, and [Document.Reveal] writes it as it was read, so that
// storing the document loses nothing of it. It is made again when the document is read again; [Document.SetChannel] and
// its neighbours replace it, with all its secrets given again.
type Broken struct {
	Channel, Route string // its name: one of them is set, unless it has none
	Err            error  // joins *Errors
}

// brokenPart is what is known of a channel or a route that cannot be made.
type brokenPart struct {
	fields object // name and type, as far as they can be read
	node   *node  // all of it
	err    error
}

// brokenParts are those of a document, by their list and index there.
type brokenParts map[string]map[int]*brokenPart

// loadLenient makes what it can of a document.
func loadLenient(file string, src []byte, o Options) (*Set, error) {
	aside := brokenParts{}
	for {
		l := newLoader(file, o)
		l.unlimited = true
		n := l.parse(src)
		if n == nil {
			return nil, l.err()
		}
		set, err := l.loadNode(n, aside)
		if err == nil || !aside.add(n, l.all) {
			return set, err
		}
	}
}

// add adds the parts of the document n that the errors are about. It returns false if one is not about a part, or none
// is about another one.
func (b brokenParts) add(n *node, all []*Error) bool {
	found := brokenParts{}
	for _, e := range all {
		list, rest, ok := strings.Cut(e.Path, "[")
		index, _, _ := strings.Cut(rest, "]")
		i, isNumber := atoi(index)
		if !ok || !isNumber || list != "channels" && list != "routes" || b[list][i] != nil {
			return false
		}
		if found[list] == nil {
			found[list] = map[int]*brokenPart{}
		}
		if found[list][i] == nil {
			found[list][i] = &brokenPart{node: n.get(list).items[i]}
		}
		found[list][i].err = errors.Join(found[list][i].err, e)
	}
	for list, parts := range found {
		if b[list] == nil {
			b[list] = map[int]*brokenPart{}
		}
		for i, part := range parts {
			b[list][i] = part
		}
	}
	return len(found) > 0
}

// without returns the document n without the parts, whose places stay those of the file.
func (b brokenParts) without(n *node) *node {
	if len(b) == 0 {
		return n
	}
	left := *n
	left.fields = slices.Clone(n.fields)
	for i, f := range left.fields {
		if b[f.name] == nil {
			continue
		}
		some := *f.value
		some.items = nil
		for j, item := range f.value.items {
			if b[f.name][j] == nil {
				some.items = append(some.items, item)
			}
		}
		left.fields[i].value = &some
	}
	return &left
}

// insert puts the parts where they were in the document root, which was read without them.
func (b brokenParts) insert(root *value) {
	for name, parts := range b {
		all := root.get(name)
		if all == nil {
			continue
		}
		items := all.items()
		for i := range len(items) + len(parts) {
			part := parts[i]
			if part == nil {
				continue
			}
			v := &value{field: all.field, parent: all, at: part.node.at, data: part}
			part.read(v)
			items = slices.Insert(items, i, v)
		}
		all.data = items
	}
}

// read reads what names the part.
func (b *brokenPart) read(v *value) {
	b.fields = nil
	for _, name := range []string{"name", "type"} {
		n := b.node.get(name)
		if n == nil || n.kind != textNode || n.text == "" || name == "type" && v.field.Tag == "" {
			continue
		}
		b.fields = append(b.fields, &value{field: &Field{Name: name}, parent: v, at: n.at, data: n.text})
	}
}

// broken lists the parts of d that cannot be made.
func (d *Document) broken() []Broken {
	var all []Broken
	for _, c := range d.list("channels") {
		if b, ok := c.data.(*brokenPart); ok {
			all = append(all, Broken{Channel: c.text("name"), Err: b.err})
		}
	}
	for _, r := range d.list("routes") {
		if b, ok := r.data.(*brokenPart); ok {
			all = append(all, Broken{Route: r.text("name"), Err: b.err})
		}
	}
	return all
}

// brokenChannel stands for one that cannot be made.
type brokenChannel struct{ err error }

var _ channel.Channel = (*brokenChannel)(nil)

// Send is not called while the routes are paused.
func (b *brokenChannel) Send(context.Context, channel.Delivery) (channel.Receipt, error) {
	return channel.Receipt{}, retry.Postpone(b.err, 0)
}

func isBroken(c channel.Channel) bool {
	s, ok := c.(*brokenChannel)
	return ok && s != nil
}

// brokenChannel makes what stands for the channel v. Without Options.Lenient that is a mistake in it.
func (l *loader) brokenChannel(v *value, b *brokenPart) *sharedChannel {
	if !l.options.Lenient {
		l.reportBroken(v, b)
		return nil
	}
	return newSharedChannel(&brokenChannel{b.err}, v.text("name"), l.env, nil)
}

// brokenRoute adds what stands for the route v of that index, whose channel need not be there.
func (l *loader) brokenRoute(v *value, b *brokenPart, index int, set *Set) {
	if !l.options.Lenient {
		l.reportBroken(v, b)
		return
	}
	if name := v.text("name"); name != "" && l.routeParts.find(name) == v {
		set.Routes = append(set.Routes, dispatcher.Route{Name: name, Tenant: l.options.Tenant, Channel: &brokenChannel{b.err}, State: dispatcher.Paused})
		set.made = append(set.made, madeRoute{source: v, index: index})
	}
}

// reportBroken reports again what is wrong with v.
func (l *loader) reportBroken(v *value, b *brokenPart) {
	for _, err := range joined.Errors(b.err) {
		if e, ok := errors.AsType[*Error](err); ok {
			_, path, _ := strings.Cut(e.Path, "]")
			l.add(v.at, join(l.part, strings.TrimPrefix(path, ".")), e.Code, e.Problem, e.Remedy)
		}
	}
}

// String shows names only: an error may be long.
func (b Broken) String() string {
	if b.Route != "" {
		return fmt.Sprintf("route %s: %v", quoted(b.Route), b.Err)
	}
	return fmt.Sprintf("channel %s: %v", quoted(b.Channel), b.Err)
}

// get returns a field of an object, or nil.
func (n *node) get(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// written is what was read, to be written again.
func (n *node) written() any {
	switch n.kind {
	case objectNode:
		fields := []written{}
		for _, f := range n.fields {
			fields = append(fields, written{f.name, f.value.written()})
		}
		return fields
	case listNode:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = item.written()
		}
		return items
	case boolNode:
		return strings.EqualFold(n.text, "true")
	case numberNode:
		if !json.Valid([]byte(n.text)) { // YAML has other forms
			return n.text
		}
		return json.Number(n.text)
	case textNode:
		return n.text
	default:
		return nil
	}
}
