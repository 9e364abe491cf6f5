package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
)

// reader checks nodes against tables. It goes on after a problem, so that all are found.
type reader struct {
	*problems
	references map[string]Reference
	patterns   map[string]*regexp.Regexp // of Fields, compiled
}

// matches tells whether the pattern of a Field matches the whole of s.
func (r *reader) matches(pattern, s string) bool {
	if r.patterns[pattern] == nil {
		r.patterns[pattern] = regexp.MustCompile("^(?:" + pattern + ")$")
	}
	return r.patterns[pattern].MatchString(s)
}

// object reads the fields of n. It returns nil when n is not an object.
func (r *reader) object(n *node, f *Field, table []Field, path string) *value {
	if n.kind != objectNode {
		r.wrongKind(n, objectNode, path, "write its fields one below the other, indented")
		return nil
	}
	v := &value{at: n.at, path: path, field: f, fields: map[string]*value{}, table: table}
	seen := map[string]position{}
	for _, p := range n.fields {
		at := join(path, p.name)
		if first, twice := seen[p.name]; twice {
			r.add(p.at, join(path, shownName(p.name)), channel.CodeDuplicate, fmt.Sprintf("is here for the second time; the first is in line %d", first.line), "remove one of them")
			continue
		}
		seen[p.name] = p.at
		f := field(table, p.name)
		if f == nil {
			r.unknown(p, table, path)
			continue
		}
		if p.value.kind == nullNode {
			if f.guards || f.Destination || f.Kind == Secret {
				r.add(p.at, at, channel.CodeMissing, "has no value", "give one, or remove the field")
			}
			continue // as if it were not there
		}
		if read := r.read(p.value, f, at); read != nil {
			v.fields[f.Name] = read
		} else if f.Kind == Variants {
			v.fields[f.Name] = &value{at: p.value.at, path: at, field: f} // too much depends on it to go on without
		}
	}
	r.unmasked(v)
	for _, f := range table {
		if f.Required && v.fields[f.Name] == nil && !r.within(join(path, f.Name)) {
			r.add(n.at, join(path, f.Name), channel.CodeMissing, "is missing", "add it: "+lowerFirst(firstLine(f.Doc)))
		}
	}
	return v
}

// unmasked reports what looks like a variable in a URL and is not the replacement of a mask.
func (r *reader) unmasked(v *value) {
	for _, f := range v.table {
		address := v.get(f.Name)
		if f.Kind != Address || f.List || address == nil {
			continue
		}
		for _, found := range variable.FindAllString(v.text(f.Name), -1) {
			if !slices.ContainsFunc(v.masked(), func(m *value) bool { return strings.Contains(found, m.text("replacement")) }) {
				r.report(address, channel.CodeInvalid, "has what looks like a variable in it, and nothing is put in its place here", maskRemedy)
				break
			}
		}
	}
}

func (r *reader) unknown(p pair, table []Field, path string) {
	names := make([]string, len(table))
	for i, f := range table {
		names[i] = f.Name
	}
	remedy := "remove it; known fields here are " + strings.Join(names, ", ")
	if like := r.similar(p.name, names); like != "" {
		remedy = "did you mean " + like + "?"
	}
	r.add(p.at, join(path, shownName(p.name)), channel.CodeUnknown, "is not a field", remedy)
}

// read reads what f describes. It returns nil after a problem with n itself.
func (r *reader) read(n *node, f *Field, path string) *value {
	if f.isList() {
		return r.list(n, f, path)
	}
	return r.one(n, f, path)
}

func (r *reader) list(n *node, f *Field, path string) *value {
	if n.kind != listNode {
		r.wrongKind(n, listNode, path, "write each item in a line of its own that begins with a dash, or all in brackets")
		return nil
	}
	v := &value{at: n.at, path: path, field: f, items: []*value{}}
	if most := f.most(); most > 0 && len(n.items) > most {
		r.add(n.items[most].at, indexed(path, most), channel.CodeRange, "is one too many", fmt.Sprintf("use at most %d", most))
		return nil
	}
	if f.Required && len(n.items) == 0 {
		r.add(n.at, path, channel.CodeMissing, "is empty", "give at least one")
		return nil
	}
	for i, item := range n.items {
		at := indexed(path, i)
		read := r.one(item, f, at)
		if read == nil {
			read = &value{at: item.at, path: at, field: f} // keeps the others' places
		}
		v.items = append(v.items, read)
	}
	return v
}

// one reads a single value, or an item of a list.
func (r *reader) one(n *node, f *Field, path string) *value {
	switch {
	case f.Kind == Variants:
		return r.variant(n, f, path)
	case f.isObject():
		return r.object(n, f, f.items(), path)
	}
	data, wrong := r.scalar(n, f)
	if wrong != nil {
		r.add(n.at, path, wrong.Code, wrong.Problem, wrong.Remedy)
		return nil
	}
	return &value{at: n.at, path: path, field: f, data: data}
}

func (r *reader) variant(n *node, f *Field, path string) *value {
	tag := f.tag()
	if n.kind != objectNode {
		r.wrongKind(n, objectNode, path, "write "+f.Tag+" and its other fields one below the other, indented")
		return nil
	}
	i := slices.IndexFunc(n.fields, func(p pair) bool { return p.name == f.Tag })
	if i < 0 {
		r.add(n.at, join(path, f.Tag), channel.CodeMissing, "is missing", "set it to one of "+strings.Join(tag.Values, ", "))
		return nil
	}
	chosen := r.one(n.fields[i].value, &tag, join(path, f.Tag))
	if chosen == nil {
		return nil
	}
	name, _ := chosen.data.(string)
	return r.object(n, f, f.variant(name), path)
}

func (r *reader) wrongKind(n *node, want nodeKind, path, remedy string) {
	r.add(n.at, path, channel.CodeInvalid, fmt.Sprintf("is %s, not %s", n.kind, want), remedy)
}

// shownName is a name of a field that is not ours: as it is if it looks like one, else in quotes.
func shownName(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$"
	if name == "" || len(name) > 40 || strings.Trim(name, letters) != "" {
		return quoted(name)
	}
	return name
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSuffix(line, ".")
}

func lowerFirst(s string) string {
	if _, size := utf8.DecodeRuneInString(s); len(s) > size && s[1:2] == strings.ToLower(s[1:2]) {
		return strings.ToLower(s[:size]) + s[size:]
	}
	return s
}
