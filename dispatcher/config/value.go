package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/template"
)

// value is what a field holds, checked against its table: a document is a tree of them.
type value struct {
	at     position
	path   string
	field  *Field            // that it is in; nil = the document
	data   any               // string, bool, int, time.Duration or credential; nil for lists and objects
	items  []*value          // of a list
	fields map[string]*value // of an object
	table  []Field           // of an object: what it may have, in the order it is written

	compiled *template.Template // of a text that is one
}

// credential is a secret and how it was written.
type credential struct {
	value     secret.Value
	reference string // for example env:NAME; "" = a literal
}

// get returns a field of an object, or nil.
func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	return v.fields[name]
}

// has tells whether a field of an object is there.
func (v *value) has(name string) bool { return v.get(name) != nil }

// text returns the text in a field of an object, or "".
func (v *value) text(name string) string {
	if f := v.get(name); f != nil {
		s, _ := f.data.(string)
		return s
	}
	return ""
}

// complete tells whether everything that is required is there: v and what is in it are as their tables promise.
func (v *value) complete() bool {
	if v.data == nil && v.items == nil && v.table == nil {
		return !v.field.isObject() // it could not be read, which is as good as empty for text and the like
	}
	if slices.ContainsFunc(v.items, func(item *value) bool { return !item.complete() }) {
		return false
	}
	return !slices.ContainsFunc(v.table, func(f Field) bool {
		inner := v.fields[f.Name]
		return inner == nil && f.Required || inner != nil && !inner.complete()
	})
}

// locate goes along a path below v, such as "headers[3].name", as far as there are such fields. It returns the path
// from the document, and the position of the nearest thing around it that is there.
func (v *value) locate(path string) (position, string) {
	if v == nil {
		return position{}, path
	}
	at, found := v.at, v.path
	for path != "" {
		var next *value
		if rest, ok := strings.CutPrefix(path, "["); ok {
			index, after, _ := strings.Cut(rest, "]")
			i, ok := atoi(index)
			if !ok || i >= len(v.items) {
				break
			}
			next, path = v.items[i], strings.TrimPrefix(after, ".")
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			name := path[:end]
			if field(v.table, name) == nil {
				break
			}
			if next = v.fields[name]; next == nil {
				return at, join(found, name)
			}
			path = strings.TrimPrefix(path[end:], ".")
		}
		v, at, found = next, next.at, next.path
	}
	return at, found
}

// atoi reads the digits of a number that is not negative and fits an int of 32 bits, and nothing else.
func atoi(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
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
