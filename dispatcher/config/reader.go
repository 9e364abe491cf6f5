package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/internal/duration"
)

// reader checks nodes against tables. It goes on after a problem, so that all are found.
type reader struct {
	*problems
	references map[string]Reference
	caps       Caps
	patterns   map[string]*regexp.Regexp // of Fields, compiled
}

// matches reports whether the pattern of a Field matches the whole of s.
func (r *reader) matches(pattern, s string) bool {
	if r.patterns[pattern] == nil {
		r.patterns[pattern] = regexp.MustCompile("^(?:" + pattern + ")$")
	}
	return r.patterns[pattern].MatchString(s)
}

// readObject reads the fields of n. It returns nil when n is not an object.
func (r *reader) readObject(n *node, f *Field, t *table, path string) *value {
	if n.kind != objectNode {
		r.wrongKind(n, objectNode, path, "write its fields one below the other, indented")
		return nil
	}
	v := &value{at: n.at, field: f}
	found, seen := map[string]*value{}, map[string]position{}
	for _, p := range n.fields {
		at := join(path, p.name)
		if first, twice := seen[p.name]; twice {
			r.add(p.at, join(path, shownName(p.name)), channel.CodeDuplicate, fmt.Sprintf("is here for the second time; the first is in line %d", first.line), "remove one of them")
			continue
		}
		seen[p.name] = p.at
		f := t.named(p.name)
		if f == nil {
			r.unknown(p, t, path)
			continue
		}
		if p.value.kind == nullNode {
			if f.guards || f.Destination || f.Kind == Secret {
				r.add(p.at, at, channel.CodeMissing, "has no value", "give one, or remove the field")
			}
			continue // as if it were not there
		}
		if read := r.read(p.value, f, at); read != nil {
			found[f.Name] = read
		} else if f.Kind == Variants {
			found[f.Name] = &value{at: p.value.at, field: f} // too much depends on it to go on without
		}
	}
	fields := make(object, 0, len(found))
	for f := range t.all() {
		if inner := found[f.Name]; inner != nil {
			inner.parent = v
			fields = append(fields, inner)
		} else if f.Required && !r.within(join(path, f.Name)) {
			r.add(n.at, join(path, f.Name), channel.CodeMissing, "is missing", "add it: "+lowerFirst(firstLine(f.Doc)))
		}
	}
	v.data = fields
	r.refuseVariables(v, path)
	return v
}

// refuseVariables reports what looks like a variable in a URL and is not the replacement of a mask.
func (r *reader) refuseVariables(v *value, path string) {
	for _, address := range v.fields() {
		if address.field.Kind != Address || address.field.List {
			continue
		}
		for _, found := range variable.FindAllString(v.text(address.name()), -1) {
			if !slices.ContainsFunc(v.masked(), func(m *value) bool { return strings.Contains(found, m.text("replacement")) }) {
				r.add(address.at, join(path, address.name()), channel.CodeInvalid, "has what looks like a variable in it, and nothing is put in its place here", maskRemedy)
				break
			}
		}
	}
}

func (r *reader) unknown(p pair, t *table, path string) {
	names := t.names()
	remedy := "remove it; known fields here are " + strings.Join(names, ", ")
	if like := r.similar(p.name, names); like != "" {
		remedy = "did you mean " + like + "?"
	}
	r.add(p.at, join(path, shownName(p.name)), channel.CodeUnknown, "is not a field", remedy)
}

// read reads what f describes. It returns nil after a problem with n itself.
func (r *reader) read(n *node, f *Field, path string) *value {
	if f.isList() {
		return r.readList(n, f, path)
	}
	return r.readOne(n, f, path)
}

func (r *reader) readList(n *node, f *Field, path string) *value {
	if n.kind != listNode {
		r.wrongKind(n, listNode, path, "write each item in a line of its own that begins with a dash, or all in brackets")
		return nil
	}
	if most := f.maxItems(r.caps); most > 0 && len(n.items) > most {
		r.add(n.items[most].at, indexed(path, most), channel.CodeRange, "is one too many", fmt.Sprintf("use at most %d", most))
		return nil
	}
	if f.Required && len(n.items) == 0 {
		r.add(n.at, path, channel.CodeMissing, "is empty", "give at least one")
		return nil
	}
	v, items := &value{at: n.at, field: f}, make(list, len(n.items))
	for i, item := range n.items {
		if items[i] = r.readOne(item, f, indexed(path, i)); items[i] == nil {
			items[i] = &value{at: item.at, field: f} // keeps the others' places
		}
		items[i].parent = v
	}
	v.data = items
	return v
}

// readOne reads a single value, or an item of a list.
func (r *reader) readOne(n *node, f *Field, path string) *value {
	switch {
	case f.Kind == Variants:
		return r.readVariant(n, f, path)
	case f.isObject():
		return r.readObject(n, f, f.items(), path)
	}
	data, wrong := r.readScalar(n, f)
	if wrong != nil {
		r.add(n.at, path, wrong.Code, wrong.Problem, wrong.Remedy)
		return nil
	}
	return &value{at: n.at, field: f, data: data}
}

func (r *reader) readVariant(n *node, f *Field, path string) *value {
	if n.kind != objectNode {
		r.wrongKind(n, objectNode, path, "write "+f.Tag+" and its other fields one below the other, indented")
		return nil
	}
	i := slices.IndexFunc(n.fields, func(p pair) bool { return p.name == f.Tag })
	if i < 0 {
		r.add(n.at, join(path, f.Tag), channel.CodeMissing, "is missing", "set it to one of "+strings.Join(f.tag.Values, ", "))
		return nil
	}
	chosen := r.readOne(n.fields[i].value, f.tag, join(path, f.Tag))
	if chosen == nil {
		return nil
	}
	return r.readObject(n, f, f.variant(dataOf[string](chosen)), path)
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

// valueError is a mistake in a value, whose reader knows the path.
func valueError(code channel.ConfigCode, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Code: code, Problem: problem, Remedy: remedy}
}

// readScalar reads what is neither a list nor an object.
func (r *reader) readScalar(n *node, f *Field) (any, *channel.ConfigError) {
	switch {
	case f.Kind == Flag:
		return readFlag(n)
	case f.Kind == Number:
		return r.readNumber(n, f)
	case f.Kind == Duration:
		return r.readDuration(n, f)
	case n.kind != textNode && (n.kind != numberNode || f.Pattern == ""):
		return nil, valueError(channel.CodeInvalid, fmt.Sprintf("is %s, not text", n.kind), "put it in quotes if it is meant to be text")
	case f.Kind == Secret:
		return r.readSecret(n.text)
	case f.Kind == Address:
		if r.refuseReference(n.text) != nil && !strings.Contains(n.text, "://") {
			return nil, valueError(channel.CodeInvalid, "is a reference, which a URL cannot be", maskRemedy)
		}
	case f.verbatim:
		if wrong := r.refuseReference(n.text); wrong != nil {
			return nil, wrong
		}
	}
	return r.readText(n.text, f)
}

const maskRemedy = "write the URL with a replacement such as {token} in it, and give the secret part in masks"

func readFlag(n *node) (any, *channel.ConfigError) {
	const how = "write true or false, without quotes"
	if n.kind != boolNode {
		return nil, valueError(channel.CodeInvalid, fmt.Sprintf("is %s, not true or false", n.kind), how)
	}
	switch strings.ToLower(n.text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, valueError(channel.CodeInvalid, "is neither true nor false", how) // a tag can say so of anything
}

func (r *reader) readText(s string, f *Field) (any, *channel.ConfigError) {
	switch count := utf8.RuneCountInString(s); {
	case s == "" && f.Required:
		return nil, valueError(channel.CodeMissing, "is empty", "give it: "+lowerFirst(firstLine(f.Doc)))
	case s == "" && !f.mayBeEmpty && f.Values == nil:
		return nil, valueError(channel.CodeMissing, "is empty", "give a value, or remove it")
	case f.Max > 0 && count > f.Max:
		return nil, valueError(channel.CodeRange, fmt.Sprintf("has %d characters", count), fmt.Sprintf("use at most %d", f.Max))
	case f.Values != nil:
		if i := slices.Index(f.Values, s); i >= 0 {
			return f.Values[i], nil // which documents share
		}
		remedy := "use one of " + strings.Join(f.Values, ", ")
		if like := r.similar(s, f.Values); like != "" {
			remedy = "did you mean " + like + "? " + remedy
		}
		return nil, valueError(channel.CodeUnknown, "is not one of the values it may have", remedy)
	case f.Pattern != "" && !r.matches(f.Pattern, s):
		return nil, valueError(channel.CodeInvalid, "does not have its form", "write "+f.Form)
	}
	return s, nil
}

func (r *reader) readNumber(n *node, f *Field) (any, *channel.ConfigError) {
	if n.kind != numberNode {
		return nil, valueError(channel.CodeInvalid, fmt.Sprintf("is %s, not a number", n.kind), "write digits, without quotes")
	}
	i, ok := atoi(n.text)
	most := f.maxNumber(r.caps)
	switch {
	case !ok:
		return nil, valueError(channel.CodeInvalid, "is not a whole number from 0 to two thousand million", "write digits only")
	case i < f.Min || most > 0 && i > most:
		if most == f.Min {
			return nil, valueError(channel.CodeRange, "is not "+strconv.Itoa(f.Min), "write "+strconv.Itoa(f.Min))
		}
		if most > 0 {
			return nil, valueError(channel.CodeRange, "is out of range", fmt.Sprintf("use %d to %d", f.Min, most))
		}
		return nil, valueError(channel.CodeRange, "is too small", fmt.Sprintf("use %d or more", f.Min))
	}
	return i, nil
}

// maxDuration is far beyond what anybody waits for, and leaves room for sums.
const maxDuration = 100 * 365 * 24 * time.Hour

func (r *reader) readDuration(n *node, f *Field) (any, *channel.ConfigError) {
	how := "write a number and a unit, such as 90s, 15m or 2h"
	if f.Word != "" {
		how += ", or " + f.Word
	}
	switch n.kind {
	case textNode:
	case numberNode:
		return nil, valueError(channel.CodeInvalid, "has no unit", how)
	default:
		return nil, valueError(channel.CodeInvalid, fmt.Sprintf("is %s, not a time", n.kind), how)
	}
	if f.Word != "" && n.text == f.Word {
		return time.Duration(-1), nil
	}
	d, err := parseDuration(n.text)
	most := f.maxTime(r.caps)
	switch {
	case err != nil:
		return nil, valueError(channel.CodeInvalid, "is not a time", how)
	case d < 0:
		return nil, valueError(channel.CodeRange, "is negative", how)
	case d == 0 && f.Min > 0:
		return nil, valueError(channel.CodeRange, "is zero", notZero(f))
	case most > 0 && d > most:
		return nil, valueError(channel.CodeRange, "is longer than "+duration.Text(most), "give a shorter time")
	case d > maxDuration:
		return nil, valueError(channel.CodeRange, "is longer than a hundred years", how)
	}
	return d, nil
}

// parseDuration is time.ParseDuration with days of 24 hours before everything else, as in 7d or 1d12h.
func parseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	const most = int(maxDuration/(24*time.Hour)) + 1
	n, isNumber := atoi(days)
	if !isNumber {
		return 0, errors.New("not a number of days")
	}
	var d time.Duration
	var err error
	if rest != "" {
		if d, err = time.ParseDuration(rest); d < 0 || strings.HasPrefix(rest, "+") {
			err = errors.New("a sign within a time")
		}
	}
	return time.Duration(min(n, most))*24*time.Hour + min(d, maxDuration), err
}

// notZero says what to write in place of a zero that would silently mean the default.
func notZero(f *Field) string {
	switch {
	case f.Required:
		return "give a longer time"
	case f.Word != "":
		return "write " + f.Word + ", or leave it out for the default"
	}
	return "give a longer time, or leave it out for the default"
}

// atoi reads the digits of a number that is not negative and fits an int of 32 bits, and nothing else.
func atoi(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}
