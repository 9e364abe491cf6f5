package template

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// builtin is a helper of this package. It cannot fail on data: what it cannot treat it returns as it is.
type builtin struct {
	min, max int
	block    bool // {{#name}} … {{else}} … {{/name}} shows a branch by the result's truth
	call     func(m *machine, args []any) any
}

// findBuiltin returns the built-in value helper of a name.
func findBuiltin(name string) (builtin, bool) {
	switch name {
	case "equal":
		return builtin{2, 2, true, func(m *machine, a []any) any { return m.isEqual(a[0], a[1]) }}, true
	case "lookup":
		return builtin{2, 2, false, lookup}, true
	case "json":
		return builtin{1, 1, false, jsonOf}, true
	case "upper":
		return ofText(strings.ToUpper), true
	case "lower":
		return ofText(strings.ToLower), true
	case "default":
		return builtin{2, 2, false, func(_ *machine, a []any) any { return defaultTo(a[0], a[1]) }}, true
	case "html":
		return escapedFor(outHTML), true
	case "join":
		return builtin{1, 2, false, join}, true
	case "truncate":
		return builtin{2, 2, false, truncate}, true
	case "date":
		return builtin{1, 2, false, date}, true
	case "seconds":
		return builtin{1, 1, false, seconds}, true
	case "slack":
		return escapedFor(outSlack), true
	case "url":
		return escapedFor(outURL), true
	}
	return builtin{}, false
}

// ofText is a helper of one text.
func ofText(f func(string) string) builtin {
	return builtin{1, 1, false, func(m *machine, args []any) any { return m.made(f(m.textOf(args[0]))) }}
}

func escapedFor(o output) builtin {
	return ofText(func(s string) string { return string(appendString(nil, o, s)) })
}

func jsonOf(m *machine, args []any) any { return m.made(string(m.appendJSON(nil, args[0], 0))) }

// builtinNames lists the built-in helpers and blocks, for suggestions.
func builtinNames() []string {
	return []string{"date", "default", "each", "equal", "html", "if", "join", "json", "lookup", "lower", "seconds",
		"slack", "truncate", "unless", "upper", "url", "with"}
}

func isBuiltin(name string) bool {
	_, ok := findBuiltin(name)
	return ok
}

// isBlockHelper reports whether name is one of the helpers that exist as blocks only.
func isBlockHelper(name string) bool {
	return name == "if" || name == "unless" || name == "each" || name == "with"
}

// plain makes the machine's own ints numbers of data.
func plain(v any) any {
	if n, ok := v.(int); ok {
		return json.Number(strconv.Itoa(n))
	}
	return v
}

// textOf is the text a value has in a text template, paid for; "" when the steps do not suffice.
func (m *machine) textOf(v any) string {
	s, ok := v.(string)
	if !ok {
		s = string(m.appendText(nil, v, 0))
	}
	if !m.pay(len(s)) {
		return ""
	}
	return s
}

// made is a text that a helper has made, paid for. It is no longer than an output may be: otherwise helpers within
// helpers could make any length of a short value.
func (m *machine) made(text string) any {
	if len(text) > m.t.limits.Output {
		m.tooLong()
	}
	if m.err != nil || !m.pay(len(text)) {
		return nil
	}
	return text
}

// lookup is handlebars.js's: a falsy container is returned itself.
func lookup(m *machine, args []any) any {
	container := args[0]
	if !m.isTruthy(container) {
		return container
	}
	key, ok := scalarText(args[1])
	if !ok || !m.pay(len(key)) {
		return nil
	}
	s := newSegment(key)
	return m.member(container, &s)
}

func defaultTo(v, other any) any {
	if v == nil || v == "" {
		return other
	}
	return v
}

// join puts a separator, ", " by default, between the texts of a list. Anything but a list is returned as it is.
func join(m *machine, args []any) any {
	list, ok := args[0].([]any)
	if !ok {
		return args[0]
	}
	separator := ", "
	if len(args) > 1 {
		separator = m.textOf(args[1])
	}
	var out []byte
	for i, e := range list {
		if !m.descend(len(out), 0) {
			return nil
		}
		if i > 0 {
			out = append(out, separator...)
		}
		before := len(out)
		if out = m.appendText(out, e, 1); !m.pay(len(separator) + len(out) - before) {
			return nil
		}
	}
	return m.made(string(out))
}

// truncate shortens a text to at most so many characters, the last of which is then an ellipsis.
func truncate(m *machine, args []any) any {
	size, _ := scalarText(args[1])
	if !m.pay(len(size)) {
		return nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 {
		return args[0]
	}
	text, ok := args[0].(string)
	if !ok {
		text = m.textOf(args[0])
	}
	end, last := 0, 0 // behind n and behind n-1 characters
	for i := 0; i < n && end < len(text); i++ {
		_, size := utf8.DecodeRuneInString(text[end:])
		last, end = end, end+size
	}
	switch {
	case !m.pay(end) || end == len(text):
		return args[0]
	case n == 0:
		return ""
	}
	return m.made(text[:last] + "…")
}
