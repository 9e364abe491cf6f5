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
			c.syntaxError(KindMacro, offset, "there is no macro %%"+excerpt(name)+"%%", hint)
			return
		}
		what = known
	}
	arg, problem := parseMacro(what)
	if problem != "" {
		c.syntaxError(KindLimit, offset, "the path of %%"+excerpt(name)+"%% "+problem, "")
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
		return o, "begins with " + excerpt(helper) + ", which is no built-in helper"
	}
	o = operand{base: baseCall, call: &helperCall{name: helper, builtin: b}}
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
	return isAlphanumeric(b) || b == '_' || b == '.'
}

// SessionMacros returns the macro names of session events, the form variables of remote-access products, with what they
// stand for: as in the form, timestamp is the time of the event in whole seconds since 1970, and version is 1 unless
// the data has another. The map is the caller's: hosts add their own names to it.
func SessionMacros() map[string]string {
	macros := map[string]string{
		"event": "event_type", "timestamp": "seconds event_time", "version": `default data.version "1"`,
	}
	for _, name := range []string{
		"appliance_id", "lsid", "external_key", "username", "user_id", "display_name", "type", "conference_name",
		"conference_id",
	} {
		macros[name] = "data." + name
	}
	return macros
}

// ApplicationMacros returns the macro names of application-access events, those of endpoint-privilege webhooks, with
// the paths they stand for. The map is the caller's: hosts add their own names to it.
func ApplicationMacros() map[string]string {
	macros := map[string]string{
		"EventType": "event_type",
		"TenantId":  "tenant",
		"Timestamp": "event_time",
		"sha1Hash":  "data.sha1_hash",
	}
	for _, name := range []string{
		"FilePathObjectId", "User", "RequestId", "ApplicationType", "Action", "Workstyle", "Reason", "HostName",
		"trustedOwnership", "ProductDescription", "DriveType", "BtZoneIdentifierExists", "ProductCode", "UpgradeCode",
		"ClsId", "ComDisplayName", "Token", "TokenAssignmentIsShell", "UacTriggered", "DownloadSourceUrl", "UserLanguage",
	} {
		macros[name] = "data." + snakeCase(name)
	}
	return macros
}

func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
