package template

import "strings"

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
	path := name
	if c.options.Macros != nil {
		known, ok := c.options.Macros[name]
		if !ok {
			hint := "a percent sign pair that is no macro must not enclose a name"
			if s := closest(name, sortedKeys(c.options.Macros)); s != "" {
				hint = "did you mean %%" + s + "%%?"
			}
			c.syntax(KindMacro, offset, "there is no macro %%"+name+"%%", hint)
			return
		}
		path = known
	}
	out := c.place(offset)
	arg := operand{base: baseRoot, written: "%%" + name + "%%", pos: offset}
	for _, part := range strings.Split(path, ".") {
		arg.names = append(arg.names, newSegment(part))
	}
	c.emit(instruction{op: opValue, out: out, arg: arg, pos: offset})
}

// isMacroName reports whether s is names of letters, digits and _ joined by dots.
func isMacroName(s string) bool {
	for _, part := range strings.Split(s, ".") {
		if part == "" {
			return false
		}
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
