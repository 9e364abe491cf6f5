package config

import (
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// parts are the channels or the routes of a document.
type parts struct {
	list   list
	kind   string            // of one of them, in messages
	byName map[string]*value // nil = they are searched for one by one
}

// newParts indexes the channels or the routes of d. Names that two have are reported to p, unless that is nil; the
// first one is found then.
func newParts(d *Document, name string, p *problems) parts {
	all := parts{d.list(name), strings.TrimSuffix(name, "s"), map[string]*value{}}
	for i, part := range all.list {
		name := part.get("name")
		if name == nil {
			continue
		}
		first := all.byName[part.text("name")]
		if first == nil {
			all.byName[part.text("name")] = part
		} else if _, broken := part.data.(*brokenPart); p != nil && !broken {
			field := part.name()
			p.part = indexed(field, i)
			p.report(name, channel.CodeDuplicate, "is also the name of "+indexed(field, slices.Index(all.list, first)), "give every one its own name")
			p.part = ""
		}
	}
	return all
}

// find returns the one of that name, or nil.
func (p parts) find(name string) *value {
	if p.byName != nil {
		return p.byName[name]
	}
	return p.list.named(name)
}

// names lists the names in order.
func (p parts) names() []string {
	var all []string
	for _, part := range p.list {
		if part.has("name") {
			all = append(all, part.text("name"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// areNamed reports whether all have a name, so that a name that is not there is a mistake.
func (p parts) areNamed() bool {
	return !slices.ContainsFunc(p.list, func(v *value) bool { return !v.has("name") })
}

// reportUnknown reports that the name v is none of theirs.
func (p parts) reportUnknown(to *problems, v *value) {
	to.report(v, channel.CodeUnknown, "names no "+p.kind, "name one of the "+p.kind+"s"+amongNames(&to.suggester, dataOf[string](v), len(p.list), p.names))
}

// named returns the channel or route of that name, or nil.
func (l list) named(name string) *value {
	for _, part := range l {
		if part.text("name") == name {
			return part
		}
	}
	return nil
}
