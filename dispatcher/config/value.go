package config

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// value is what a field holds, checked against its table. A document is a tree of them. So is each of its channels and
// routes: these have no parent, because documents that follow each other share those that did not change. Of a large
// system's documents there are millions in memory: a value holds nothing that can be found out from others.
type value struct {
	field  *Field // that it is in; nil = the document
	parent *value // the object or list that it is in; nil = a document, a channel or a route
	data   any    // string, bool, int, time.Duration, credential, object or list; nil = it could not be read
	at     position
}

// object is the fields of an object, in the order of its table.
type object []*value

// list is the items of a list.
type list []*value

// credential is a secret and how it was written.
type credential struct {
	value     secret.Value
	reference string // for example env:NAME; "" = a literal
}

// fields lists the fields of an object; nil = v is none.
func (v *value) fields() object {
	if v != nil {
		if b, ok := v.data.(*brokenPart); ok {
			return b.fields
		}
	}
	return dataOf[object](v)
}

// items lists the items of a list; nil = v is none.
func (v *value) items() list { return dataOf[list](v) }

// inner lists what is in an object or a list.
func (v *value) inner() []*value {
	if l, ok := v.data.(list); ok {
		return l
	}
	return v.fields()
}

// table is that of the object v, which is not the document.
func (v *value) table() *table {
	if v.field.Kind == Variants {
		return v.field.variant(v.text(v.field.Tag))
	}
	return v.field.items()
}

// get returns a field of an object, or nil.
func (v *value) get(name string) *value {
	for _, f := range v.fields() {
		if f.field.Name == name {
			return f
		}
	}
	return nil
}

// name is that of the field that v is in; "" = the document.
func (v *value) name() string {
	if v.field == nil {
		return ""
	}
	return v.field.Name
}

// has reports whether a field of an object is there.
func (v *value) has(name string) bool { return v.get(name) != nil }

// text returns the text in a field of an object, or "".
func (v *value) text(name string) string { return dataOf[string](v.get(name)) }

// dataOf is what v holds, if that is a T; otherwise, or if v is nil, the zero value.
func dataOf[T any](v *value) T {
	var data T
	if v != nil {
		data, _ = v.data.(T)
	}
	return data
}

// path leads to v from the channel or route that it is in, otherwise from the document: "headers[3].name".
func (v *value) path() string {
	if v.parent == nil {
		return ""
	}
	if l, ok := v.parent.data.(list); ok {
		return indexed(v.parent.path(), slices.Index(l, v))
	}
	return join(v.parent.path(), v.name())
}

// complete reports whether everything that is required is there: v and what is in it are as their tables promise.
func (v *value) complete() bool {
	switch data := v.data.(type) {
	case nil:
		return !v.field.isObject() // it could not be read, which is as good as empty for text and the like
	case list:
		return !slices.ContainsFunc(data, isIncomplete)
	case object:
		for f := range v.table().all() {
			if f.Required && v.get(f.Name) == nil {
				return false
			}
		}
		return !slices.ContainsFunc(data, isIncomplete)
	}
	return true
}

func isIncomplete(v *value) bool { return !v.complete() }

// locate goes along a path below v, such as "headers[3].name", as far as there are such fields. It returns the path as
// far as it goes, and what is nearest around that and is there.
func (v *value) locate(path string) (nearest *value, found string) {
	found = v.path()
	for path != "" {
		var next *value
		if rest, ok := strings.CutPrefix(path, "["); ok {
			index, after, _ := strings.Cut(rest, "]")
			i, ok := atoi(index)
			if !ok || i >= len(v.items()) {
				break
			}
			next, path, found = v.items()[i], strings.TrimPrefix(after, "."), indexed(found, i)
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			name := path[:end]
			if v.fields() == nil || v.table().named(name) == nil {
				break
			}
			if next = v.get(name); next == nil {
				return v, join(found, name)
			}
			path, found = strings.TrimPrefix(path[end:], "."), join(found, name)
		}
		v = next
	}
	return v, found
}

// masked lists the masks of an object.
func (v *value) masked() list {
	for _, f := range v.fields() {
		if f.field.Kind == Masks {
			return f.items()
		}
	}
	return nil
}

// sameValue compares what two documents say. same compares secrets.
func sameValue(a, b *value, same func(a, b credential) bool) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.name() != b.name() {
		return false
	}
	each := func(a, b *value) bool { return sameValue(a, b, same) }
	switch data := a.data.(type) {
	case object:
		other, ok := b.data.(object)
		return ok && slices.EqualFunc(data, other, each)
	case list:
		other, ok := b.data.(list)
		return ok && slices.EqualFunc(data, other, each)
	case credential:
		other, ok := b.data.(credential)
		return ok && same(data, other)
	case string:
		other, ok := b.data.(string)
		return ok && data == other
	case int:
		other, ok := b.data.(int)
		return ok && data == other
	case bool:
		other, ok := b.data.(bool)
		return ok && data == other
	case time.Duration:
		other, ok := b.data.(time.Duration)
		return ok && data == other
	}
	return b.data == nil
}

// origin is scheme, host and port of a URL as they are dialled, to be shown; "" = it has none.
func origin(address string) string {
	u, err := netguard.ParseURL("", address, netguard.Limits{AllowInsecureHTTP: true})
	if err != nil {
		return ""
	}
	return netguard.Origin(u)
}

// shownAddress is how a URL without masks is written: it may be a credential behind its origin.
func shownAddress(address string) string {
	start := origin(address)
	switch {
	case start == "":
		return secret.Redacted // whatever that is
	case netguard.SameDestination(address, start):
		return address // there is nothing behind it
	}
	return start + "/" + secret.Redacted
}
