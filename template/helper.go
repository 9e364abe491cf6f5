package template

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Helper is a function that templates call by name: {{name argument …}} or (name argument …). It is pure: the same
// arguments give the same result, without side effects, and it may be called from many goroutines.
type Helper struct {
	// Min and Max bound the number of arguments, which Compile checks. A negative Max means any number.
	Min, Max int
	// Call computes the result. Arguments are nil, bool, string, json.Number, []any or map[string]any, and are neither
	// modified nor kept. The result may be anything Normalise accepts; it is escaped like data. An error, or a panic,
	// ends the render with a *RenderError that wraps the error.
	Call func(args []any) (any, error)
}

// errPanic is wrapped by the RenderError of a helper that panicked.
var errPanic = errors.New("template: a helper panicked")

// call evaluates the arguments and calls the helper.
func (m *machine) call(o *operand) any {
	c := o.call
	from := len(m.args)
	for i := range c.args {
		v := m.eval(&c.args[i])
		if m.err != nil {
			return nil
		}
		m.args = append(m.args, v)
	}
	m.pos = o.pos
	args := m.args[from:]
	var v any
	if c.builtin.call != nil {
		v = c.builtin.call(m, args)
	} else {
		v = m.callHost(c, args)
	}
	clear(args)
	m.args = m.args[:from]
	return v
}

// callHost calls a helper of the host: what it gets and returns is data, and it cannot break the render.
func (m *machine) callHost(c *helperCall, args []any) any {
	for i, a := range args {
		args[i] = toData(a)
		if s, ok := a.(string); ok && !m.countBytes(len(s)) {
			return nil
		}
	}
	v, err := protect(c.helper.Call, args)
	if err == nil {
		v, err = Normalise(v)
	}
	switch {
	case errors.Is(err, errPanic):
		m.fail(KindPanic, "the helper "+c.name+" panicked", "", err)
	case err != nil:
		m.fail(KindFailed, "the helper "+c.name+" failed", "", err)
	default:
		m.countTree(v)
	}
	return v
}

// countTree counts the steps of a tree that a helper of the host has made.
func (m *machine) countTree(v any) bool {
	switch v := v.(type) {
	case string:
		return m.countBytes(len(v))
	case []any:
		for _, e := range v {
			if !m.countSteps(1) || !m.countTree(e) {
				return false
			}
		}
	case map[string]any:
		if !m.countKeys(v) {
			return false
		}
		for _, e := range v {
			if !m.countTree(e) {
				return false
			}
		}
	}
	return true
}

func protect(f func([]any) (any, error), args []any) (v any, err error) {
	defer func() {
		if recover() != nil {
			v, err = nil, errPanic // the panic's value may be data
		}
	}()
	return f(args)
}

// builtin is a helper of this package. It cannot fail on data: it returns unchanged what it cannot process.
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
		return builtin{1, 2, false, joinList}, true
	case "truncate":
		return builtin{2, 2, false, truncate}, true
	case "date":
		return builtin{1, 2, false, date}, true
	case "seconds":
		return builtin{1, 1, false, epochSeconds}, true
	case "slack":
		return escapedFor(outSlack), true
	case "url":
		return escapedFor(outURL), true
	}
	return builtin{}, false
}

// ofText is a helper of one text.
func ofText(f func(string) string) builtin {
	return builtin{1, 1, false, func(m *machine, args []any) any { return m.helperText(f(m.textOf(args[0]))) }}
}

func escapedFor(o output) builtin {
	return ofText(func(s string) string { return string(appendEscaped(nil, o, s)) })
}

func jsonOf(m *machine, args []any) any { return m.helperText(string(m.appendJSON(nil, args[0], 0))) }

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

// toData makes the machine's own ints numbers of data.
func toData(v any) any {
	if n, ok := v.(int); ok {
		return json.Number(strconv.Itoa(n))
	}
	return v
}

// textOf is the text a value has in a text template, with its steps counted; "" when they do not suffice.
func (m *machine) textOf(v any) string {
	s, ok := v.(string)
	if !ok {
		s = string(m.appendText(nil, v, 0))
	}
	if !m.countBytes(len(s)) {
		return ""
	}
	return s
}

// helperText returns a text that a helper has made, with its steps counted. It is no longer than an output may be:
// otherwise helpers within helpers could make any length of a short value.
func (m *machine) helperText(text string) any {
	if len(text) > m.t.limits.Output {
		m.tooLong()
	}
	if m.err != nil || !m.countBytes(len(text)) {
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
	if !ok || !m.countBytes(len(key)) {
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

// joinList puts a separator, ", " by default, between the texts of a list. Anything but a list is returned as it is.
func joinList(m *machine, args []any) any {
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
		if out = m.appendText(out, e, 1); !m.countBytes(len(separator) + len(out) - before) {
			return nil
		}
	}
	return m.helperText(string(out))
}

// truncate shortens a text to at most so many characters, the last of which is then an ellipsis.
func truncate(m *machine, args []any) any {
	size, _ := scalarText(args[1])
	if !m.countBytes(len(size)) {
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
	case !m.countBytes(end) || end == len(text):
		return args[0]
	case n == 0:
		return ""
	}
	return m.helperText(text[:last] + "…")
}

// date formats a time in UTC: epoch seconds with a fraction, or RFC 3339. The layout is Go's, RFC 3339 by default.
// What is no time is returned as it is.
func date(m *machine, args []any) any {
	t, ok := timeOf(args[0])
	if !ok {
		return args[0]
	}
	layout := time.RFC3339
	if len(args) > 1 {
		if l, ok := scalarText(args[1]); ok && l != "" {
			layout = l
		}
	}
	if !m.countBytes(len(layout)) {
		return nil
	}
	return m.helperText(t.UTC().Format(layout))
}

// epochSeconds gives a time in whole seconds since 1970, those of the instant rounded down. What is no time is returned
// as it is.
func epochSeconds(_ *machine, args []any) any {
	t, ok := timeOf(args[0])
	if !ok {
		return args[0]
	}
	return json.Number(strconv.FormatInt(t.Unix(), 10))
}

// longestTime is longer than any text that is a time.
const longestTime = 64

// timeOf reads a time. Epoch seconds are read without a float: all nine digits of a fraction count.
func timeOf(v any) (time.Time, bool) {
	s, _ := scalarText(v)
	if s == "" || len(s) > longestTime {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds < -1e11 || seconds > 1e12 {
		return time.Time{}, false
	}
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	nanos, err := strconv.ParseUint("0"+fraction+strings.Repeat("0", 9-len(fraction)), 10, 63)
	if err != nil {
		return time.Time{}, false
	}
	if strings.HasPrefix(whole, "-") {
		return time.Unix(seconds, -int64(nanos)), true
	}
	return time.Unix(seconds, int64(nanos)), true
}
