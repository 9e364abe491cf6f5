package event

import (
	"fmt"
	"strconv"
	"strings"
)

// pattern is one argument of [Types]: "*", a prefix such as "request." or a whole type.
type pattern struct {
	text   string // as given; quoted when it is not a pattern
	prefix string // for "*" and "request.*": what the type must begin with
	whole  bool   // text is the type
}

// parsePattern reads the pattern at a position of the list, counted from 0.
func parsePattern(text string, position int) (pattern, error) {
	prefix, wild := strings.CutSuffix(text, "*")
	valid := text == "*"
	if wild && !valid {
		stem, dotted := strings.CutSuffix(prefix, ".")
		valid = dotted && validSegments(stem)
	}
	if !wild {
		valid = Type(text).check() == nil
	}
	p := pattern{text: text, prefix: prefix, whole: !wild}
	if valid && len(text) <= maxTypeLength {
		return p, nil
	}
	p.text = strconv.Quote(clip(text)) // for String only, as a filter with a mistake matches nothing
	return p, &InvalidError{
		Field:   fmt.Sprintf("patterns[%d]", position),
		Problem: "is " + p.text + ", which is neither a type nor a prefix of types",
		Remedy:  "write a type (\"request.pending\"), a prefix (\"request.*\") or \"*\"",
	}
}

// clip shortens a text that is far too long, so that an error stays readable.
func clip(text string) string {
	if len(text) > maxTypeLength {
		return strings.ToValidUTF8(text[:maxTypeLength], "") + "…"
	}
	return text
}

func (p pattern) match(t Type) bool {
	if p.whole {
		return p.text == string(t)
	}
	return strings.HasPrefix(string(t), p.prefix)
}

// own tells whether the pattern names the library's own events.
func (p pattern) own() bool { return strings.HasPrefix(p.text, ownPrefix) }
