package template

import (
	"strconv"
	"strings"
)

// macros compiles a source of %%Name%% macros: one pass, and what is no macro is text.
func (c *compiler) macros() {
	src := c.source
	start := 0
	for i := 0; i < len(src) && c.err == nil; {
		j := strings.Index(src[i:], "%%")
		if j < 0 {
			break
		}
		i += j
		end := i + 2
		for end < len(src) && isMacroByte(src[end]) {
			end++
		}
		name := src[i+2 : end]
		if !isMacroName(name) || !strings.HasPrefix(src[end:], "%%") {
			i++
			continue
		}
		c.text(start, src[start:i])
		if c.err == nil {
			c.macro(i, name)
		}
		i = end + 2
		start = i
	}
	if c.err == nil {
		c.text(start, src[start:])
	}
}

func (c *compiler) macro(offset int, name string) {
	what := name
	if c.options.Macros != nil {
		known, ok := c.options.Macros[name]
		if !ok {
			hint := "a percent sign pair that is no macro must not enclose a name"
			if s := closest(name, sortedKeys(c.options.Macros)); s != "" {
				hint = "did you mean %%" + s + "%%?"
			}
			c.syntax(KindMacro, offset, "there is no macro %%"+short(name)+"%%", hint)
			return
		}
		what = known
	}
	arg, problem := parseMacro(what)
	if problem != "" {
		c.syntax(KindLimit, offset, "the path of %%"+short(name)+"%% "+problem, "")
		return
	}
	arg.setPlace("%%"+name+"%%", offset)
	in := c.value(offset)
	in.arg, in.markup = arg, c.markup && !arg.escapes()
	c.emit(in)
}

// setPlace gives o and its arguments the text and place of the macro they came from.
func (o *operand) setPlace(written string, pos int) {
	o.written, o.pos = written, pos
	if o.call != nil {
		for i := range o.call.args {
			o.call.args[i].setPlace(written, pos)
		}
	}
}

// parseMacro reads what a macro stands for: a path, or a built-in helper with paths and texts in quotes as arguments.
// problem is empty, or says what is wrong.
func parseMacro(what string) (o operand, problem string) {
	helper, rest, isCall := strings.Cut(what, " ")
	if !isCall {
		return parseMacroPath(what)
	}
	b, ok := findBuiltin(helper)
	if !ok {
		return o, "begins with " + short(helper) + ", which is no built-in helper"
	}
	o = operand{base: baseCall, call: &call{name: helper, builtin: b}}
	for rest = strings.TrimLeft(rest, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var arg operand
		if rest[0] == '"' {
			text, after, closed := strings.Cut(rest[1:], `"`)
			if !closed {
				return o, "has a text in quotes that is never closed"
			}
			arg, rest = operand{base: baseLiteral, literal: text}, after
		} else {
			var path string
			path, rest, _ = strings.Cut(rest, " ")
			if arg, problem = parseMacroPath(path); problem != "" {
				return o, problem
			}
		}
		o.call.args = append(o.call.args, arg)
	}
	if n := len(o.call.args); n < b.min || n > b.max {
		return o, "gives " + helper + " " + strconv.Itoa(n) + " arguments, but it takes " + arityText(b.min, b.max)
	}
	return o, ""
}

func parseMacroPath(path string) (o operand, problem string) {
	if !isMacroName(path) {
		return o, "must be names joined by dots"
	}
	const most = 2 * maxDataDepth
	o = operand{base: baseRoot}
	for part := range strings.SplitSeq(path, ".") {
		if len(o.names) == most {
			return o, "has more than " + strconv.Itoa(most) + " names"
		}
		o.names = append(o.names, newSegment(part))
	}
	o.cost = pathCost(o.names)
	return o, ""
}

// isMacroName reports whether s is names of letters, digits and _ joined by dots.
func isMacroName(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isMacroByte(s[i]) {
			return false
		}
	}
	return true
}

func isMacroByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.'
}
