package template

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"
)

// SyntaxError reports a source that is not valid in its syntax, or that uses something this package refuses. It quotes
// the template at most, never data.
type SyntaxError struct {
	Position        // the offending token
	Kind     Kind   // see the Kinds of SyntaxError
	Message  string // what is wrong
	Hint     string // what to do; may be empty
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return errorText("template", e.Position, e.Message, e.Hint)
}

// errorText is the one form in which the errors of a template are worded.
func errorText(what string, p Position, message, hint string) string {
	if hint != "" {
		return fmt.Sprintf("%s %d:%d: %s; %s", what, p.Line, p.Column, message, hint)
	}
	return fmt.Sprintf("%s %d:%d: %s", what, p.Line, p.Column, message)
}

// excerpt is a piece of a template as an error quotes it.
func excerpt(s string) string {
	const most = 80
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// OptionsError reports Options that have no meaning.
type OptionsError struct {
	Field  string // the field of Options
	Reason string
}

// Error implements error.
func (e *OptionsError) Error() string { return "template options: " + e.Field + ": " + e.Reason }

// JSONError reports a template that cannot make JSON (from Compile), or an output that is not JSON (from Render; also
// from Compile when it can be known without data). It quotes the template at most, never data.
type JSONError struct {
	Position        // the place in the template
	Kind     Kind   // see the Kinds of JSONError
	Message  string // what is wrong
	Hint     string // what to do; may be empty
	// Output is the place in the text made when Kind is KindOutput from Render; zero otherwise. Its Offset, Line and
	// Column are those of the first character that cannot be part of a JSON document.
	Output Position

	made string // the text that is not JSON
}

// Text is the text made when Kind is KindOutput from Render, and "" otherwise. It holds the data's values: show it to
// who may see those, and log it nowhere.
func (e *JSONError) Text() string { return e.made }

// Format prints what Error returns, whatever the verb: package fmt would print the text made.
func (e *JSONError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// Error implements error.
func (e *JSONError) Error() string {
	return errorText("not JSON: template", e.Position, e.Message, e.Hint)
}

// RenderError reports a render that failed. Its text names the place in the template and never the data; Unwrap
// gives the helper's or the context's own error, whose text may hold data.
type RenderError struct {
	Position        // the place in the template
	Kind     Kind   // see the Kinds of RenderError
	Message  string // what is wrong
	Hint     string // what to do; may be empty
	Err      error  // the cause, or nil
}

// Error implements error.
func (e *RenderError) Error() string {
	return errorText("render: template", e.Position, e.Message, e.Hint)
}

// Unwrap returns the cause, or nil.
func (e *RenderError) Unwrap() error { return e.Err }

// Kind classifies an error or a finding, for a user interface that shows its own text.
type Kind string

// Kinds of SyntaxError. In HTML mode, KindBranch and KindLoop are among them.
const (
	KindSyntax      Kind = "syntax"             // the source is not a sentence of the language
	KindUnsupported Kind = "unsupported"        // valid Handlebars that this package refuses: partials, raw blocks, decorators …
	KindHelper      Kind = "unknown helper"     // a call of something that is not a helper
	KindArity       Kind = "arguments"          // wrong number of arguments, or named ones where none are taken
	KindVariable    Kind = "unknown @-variable" // only @root, @index, @key, @first and @last exist
	KindLimit       Kind = "limit"              // longer or deeper than Limits allow; also of a JSONError and a Finding
	KindRaw         Kind = "raw output"         // {{{x}}} in HTML mode without AllowRaw
	KindMacro       Kind = "unknown macro"      // %%Name%% with a name that is not in Options.Macros
	KindPlace       Kind = "place"              // a value where a URL or HTML must not have one
)

// Kinds of JSONError.
const (
	KindBranch    Kind = "branches differ"   // one branch of a block ends inside a string, the other outside
	KindLoop      Kind = "loop differs"      // a loop body does not end where it began, inside or outside a string
	KindQuote     Kind = "unclosed string"   // the template ends inside a string
	KindBackslash Kind = "backslash"         // an expression or block inside an escape sequence
	KindEscape    Kind = "escape"            // an escape sequence that JSON does not have
	KindControl   Kind = "control character" // a raw control character, such as a line break, inside a string
	KindJoint     Kind = "joined value"      // a value directly beside a number or word, which would change it
	KindOutput    Kind = "not JSON"          // the text made is not a JSON document
)

// Kinds of RenderError.
const (
	KindSteps   Kind = "too many steps"  // Limits.Steps
	KindSize    Kind = "output too long" // Limits.Output
	KindContext Kind = "context done"    // the context was cancelled or its deadline passed
	KindFailed  Kind = "helper failed"   // a helper returned an error
	KindPanic   Kind = "helper panicked" // a helper panicked
	KindData    Kind = "data"            // the data is not in the normalised form, or nested too deep
	KindSegment Kind = "dot segment"     // a URL path segment that is "." or ".."
)

// Kinds of Finding; findings of a trial render have the kinds of the errors.
const (
	KindPath   Kind = "unknown path" // the example has nothing at this path
	KindList   Kind = "list"         // the path goes through a list, or prints one
	KindValue  Kind = "value"        // the path goes into a text, number or boolean
	KindScope  Kind = "scope"        // ../ above the root, or @index and the like outside a loop
	KindPrint  Kind = "object"       // an object is printed as text
	KindEmpty  Kind = "empty text"   // a text has nothing but blanks with some data
	KindMarkup Kind = "markup"       // a value in HTML inside a JSON string is not escaped for it
)

// Position is a place in a text. Offset counts bytes from 0; Line and Column count from 1, Column in characters.
type Position struct {
	Offset int
	Line   int
	Column int
}

// lineIndex finds positions in a text without reading all of it each time.
type lineIndex struct {
	text   string
	starts []int
	before int // bytes of the source before the text
}

func newLineIndex(text string) *lineIndex {
	starts := make([]int, 1, 1+strings.Count(text, "\n"))
	for i := 0; ; {
		j := strings.IndexByte(text[i:], '\n')
		if j < 0 {
			return &lineIndex{text: text, starts: starts}
		}
		i += j + 1
		starts = append(starts, i)
	}
}

func (x *lineIndex) at(offset int) Position {
	offset = max(0, min(offset, len(x.text)))
	line := sort.SearchInts(x.starts, offset+1)
	start := x.starts[line-1]
	return Position{Offset: x.before + offset, Line: line, Column: 1 + utf8.RuneCountInString(x.text[start:offset])}
}

// cursor finds the positions of rising offsets in one pass, also in a source of one long line.
type cursor struct {
	lines  *lineIndex
	last   Position
	offset int // of last, in the text
}

func (c *cursor) at(offset int) Position {
	if c.last.Line == 0 || offset < c.offset || strings.IndexByte(c.lines.text[c.offset:offset], '\n') >= 0 {
		c.last, c.offset = c.lines.at(offset), offset
		return c.last
	}
	c.last.Column += utf8.RuneCountInString(c.lines.text[c.offset:offset])
	c.last.Offset += offset - c.offset
	c.offset = offset
	return c.last
}

// invalidUTF8 returns the offset of the first byte of s that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			return i
		}
	}
	return -1
}
