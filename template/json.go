package template

import (
	"encoding/json"
	"errors"
	"sort"
	"strings"
)

// jsonContext is where in a JSON document the text so far ends: outside a string, inside one, or inside an escape.
type jsonContext uint8

const (
	jsonOutside jsonContext = iota
	jsonString
	jsonEscape // after a backslash
	jsonHex4   // after \u, four digits to come
	jsonHex3
	jsonHex2
	jsonHex1
)

// jsonForm is what the text of a string is, as far as it is known: a document of its own, or any other text. A document
// begins with {" or, in a list, with [" or [{"; after its last bracket another one may begin.
type jsonForm uint8

const (
	formUnknown  jsonForm = iota // nothing but blanks so far
	formBracket                  // after [
	formBrace                    // after {
	formText                     // no document
	formDocument                 // inside a document
)

// maxJSONLevels bounds documents in strings of documents: each level may double the length of a value.
const maxJSONLevels = 4

// jsonLevel is the state in one document, or in one string of which it is not known whether it is one.
type jsonLevel struct {
	form    jsonForm
	context jsonContext
	depth   int  // open brackets
	escaped rune // the digits of \uXXXX so far
}

// jsonPlace is the state in a JSON text: level 0 is the template's document; where its text ends inside a string, level
// 1 is that string, and so on.
type jsonPlace struct {
	levels [maxJSONLevels + 1]jsonLevel
	last   int // the innermost level
}

func newJSONPlace() jsonPlace {
	var p jsonPlace
	p.levels[0].form = formDocument
	return p
}

// outer is the context in the template's own document.
func (p *jsonPlace) outer() jsonContext { return p.levels[0].context }

// jsonFault is the first character that a document cannot have.
type jsonFault struct {
	kind   Kind
	offset int
	level  int
}

// advance reads literal text. quote is the offset of the quote that opened the string of the template's document in
// which the text ends, -1 when it opened none.
func (p *jsonPlace) advance(text string) (quote int, fault *jsonFault) {
	quote = -1
	for i := 0; i < len(text); i++ {
		before := p.outer()
		if kind, level := p.feed(0, rune(text[i])); kind != "" {
			return quote, &jsonFault{kind, i, level}
		}
		if before == jsonOutside && p.outer() == jsonString {
			quote = i
		}
	}
	return quote, nil
}

// feed reads one character of a level: a byte, or what an escape sequence stands for.
func (p *jsonPlace) feed(level int, r rune) (Kind, int) {
	l := &p.levels[level]
	if l.form != formDocument && !p.recognise(l, r) {
		return "", 0
	}
	if l.form == formDocument && level == maxJSONLevels {
		return KindLimit, level
	}
	decoded := rune(-1)
	switch l.context {
	case jsonOutside:
		p.bracket(level, r)
		return "", 0
	case jsonString:
		switch {
		case r == '"':
			return p.endString(level)
		case r == '\\':
			l.context = jsonEscape
		case r < 0x20:
			return KindControl, level
		default:
			decoded = r
		}
	case jsonEscape:
		switch r {
		case 'b', 'f', 'n', 'r', 't':
			decoded = '\n' // one of the blanks and controls
		case '"', '\\', '/':
			decoded = r
		case 'u':
			l.context, l.escaped = jsonHex4, 0
			return "", 0
		default:
			return KindEscape, level
		}
		l.context = jsonString
	default:
		digit := hexDigit(r)
		if digit < 0 {
			return KindEscape, level
		}
		l.escaped = l.escaped<<4 | digit
		if l.context++; l.context > jsonHex1 {
			l.context, decoded = jsonString, l.escaped
		}
	}
	if decoded >= 0 {
		return p.feed(level+1, decoded)
	}
	return "", 0
}

// recognise looks at the beginning of a text; it reports whether r is already part of a document.
func (p *jsonPlace) recognise(l *jsonLevel, r rune) bool {
	switch {
	case l.form == formText || r == ' ' || r == '\n' || r == '\t' || r == '\r':
	case r == '"' && l.form != formUnknown:
		l.form = formDocument
		return true
	case r == '{' && l.form != formBrace:
		l.form = formBrace
		l.depth++
	case r == '[' && l.form != formBrace:
		l.form = formBracket
		l.depth++
	default:
		l.form = formText
	}
	return false
}

// bracket reads a character outside of strings.
func (p *jsonPlace) bracket(level int, r rune) {
	l := &p.levels[level]
	switch r {
	case '"':
		l.context = jsonString
		p.last = level + 1
		p.levels[p.last] = jsonLevel{}
	case '{', '[':
		l.depth++
	case '}', ']':
		if l.depth--; l.depth <= 0 && level > 0 {
			*l = jsonLevel{} // another document may follow
		}
	}
}

// endString reads the quote that ends a string.
func (p *jsonPlace) endString(level int) (Kind, int) {
	if inner := p.levels[level+1]; inner.form == formDocument && inner.context != jsonOutside {
		return KindQuote, level + 1
	}
	p.levels[level].context = jsonOutside
	p.last = level
	return "", 0
}

// value says how a value is written at this place: as text, or as a JSON value, of the document so many levels deep. It
// reports false inside an escape sequence.
func (p *jsonPlace) value() (out output, nest int, ok bool) {
	for i := range p.last {
		if p.levels[i].context != jsonString {
			return outText, 0, false
		}
	}
	l := &p.levels[p.last]
	switch {
	case l.form != formDocument:
		l.form = formText // whether a text that begins with a value is a document depends on the data
		return outJSONString, p.last - 1, true
	case l.context == jsonOutside:
		return outJSONValue, p.last, true
	}
	return outText, 0, false
}

// between reports whether a block may stand here: not inside an escape sequence.
func (p *jsonPlace) between() bool {
	for i := range p.last + 1 {
		if c := p.levels[i].context; c != jsonString && c != jsonOutside {
			return false
		}
	}
	return true
}

// join merges the ends of two branches; it reports false, and the level, when they differ.
func (p *jsonPlace) join(o jsonPlace) (level int, ok bool) {
	for i := range p.levels {
		if i > p.last && i > o.last {
			break
		}
		a, b := &p.levels[i], &o.levels[i]
		switch {
		case a.context != b.context:
			return i, false
		case a.form != b.form:
			form, ok := joinForms(a.form, b.form)
			if !ok {
				return i, false
			}
			a.form = form
		}
		a.depth = max(a.depth, b.depth)
	}
	return 0, true
}

// joinForms merges what two branches make of a text. What may be a document in one is watched on; a document that began
// in one branch only, and goes on behind it, is none.
func joinForms(a, b jsonForm) (jsonForm, bool) {
	begun := func(f jsonForm) bool { return f == formBracket || f == formBrace }
	switch {
	case a == formDocument || b == formDocument:
		return formDocument, begun(a) || begun(b)
	case begun(a) && begun(b):
		return formBracket, true
	case begun(a):
		return a, true
	case begun(b):
		return b, true
	}
	return formText, true
}

func hexDigit(r rune) rune {
	switch {
	case r >= '0' && r <= '9':
		return r - '0'
	case r >= 'a' && r <= 'f':
		return r - 'a' + 10
	case r >= 'A' && r <= 'F':
		return r - 'A' + 10
	}
	return -1
}

// validateWithoutData checks a JSON template without blocks as if every value outside quotes were a text: what is then
// not JSON never will be. With blocks the output depends on the data; Trial looks for such errors.
func (t *Template) validateWithoutData() error {
	if t.mode != JSON {
		return nil
	}
	var out []byte
	var trace []traceEntry
	for pc := range t.code {
		in := &t.code[pc]
		trace = append(trace, traceEntry{len(out), pc})
		switch in.op {
		case opText:
			out = append(out, in.text...)
		case opValue:
			if in.out == outJSONValue && in.nest == 0 {
				out = append(out, `""`...)
			}
		default:
			return nil
		}
	}
	if json.Valid(out) {
		return nil
	}
	return t.invalidJSON(string(out), trace)
}

// traceEntry says that the instruction pc appended something at an offset of the output.
type traceEntry struct{ offset, pc int }

// traceRender runs the program again and notes which instruction wrote what, which a normal run has no time for. When
// the context is done meanwhile, the place found is the last one reached.
func (m *machine) traceRender(steps int) []traceEntry {
	again := &machine{t: m.t, tracing: true}
	again.begin(m.ctx, nil, m.root, steps)
	again.run()
	return again.trace
}

// instructionAt returns the instruction that wrote the byte at an offset of the output, and the offset in what it
// wrote.
func (t *Template) instructionAt(trace []traceEntry, offset int) (in instruction, into int) {
	i := sort.Search(len(trace), func(i int) bool { return trace[i].offset > offset })
	if i == 0 {
		return instruction{}, 0
	}
	w := trace[i-1]
	return t.code[w.pc], offset - w.offset
}

// invalidJSON describes an output that is not JSON.
func (t *Template) invalidJSON(out string, trace []traceEntry) error {
	var syntax *json.SyntaxError
	var ignored any
	state := ""
	at := len(out)
	if errors.As(json.Unmarshal([]byte(out), &ignored), &syntax) {
		state = syntax.Error()
	}
	e := &JSONError{Kind: KindOutput, made: out}
	if syntax == nil || strings.HasPrefix(state, "unexpected end") {
		e.Position = t.lines.at(len(t.lines.text))
	} else {
		at = int(syntax.Offset) - 1 // encoding/json counts the bytes read
		in, into := t.instructionAt(trace, at)
		e.Position = t.lines.at(in.pos)
		if in.op == opText {
			e.Position = t.lines.at(in.pos + min(into, len(in.text)))
		}
	}
	e.Output = newLineIndex(out).at(at)
	e.Message, e.Hint = explainJSON(state, strings.TrimRight(out[:at], " \t\r\n"), out[at:])
	return e
}

// explainJSON words what is wrong between two halves of a text that is not JSON. state is encoding/json's description.
// The result does not quote the text, which is data.
func explainJSON(state, before, after string) (message, hint string) {
	const noComma = "leave it out after the last element: {{#unless @last}},{{/unless}}"
	is := func(phrase string) bool { return strings.Contains(state, phrase) }
	starts := func(chars string) bool { return after != "" && strings.Contains(chars, after[:1]) }
	switch {
	case before == "" && after == "":
		return "the output is empty", "a JSON body needs at least {}"
	case after == "":
		return "the JSON document ends too early", "a bracket or brace is not closed"
	case strings.HasSuffix(before, ",") && starts("]}"):
		return "a comma is not followed by anything", noComma
	case starts(",") && (strings.HasSuffix(before, ",") || strings.HasSuffix(before, "[") || strings.HasSuffix(before, "{")):
		return "two commas follow each other, or one comes first", "put the comma inside the block whose text it separates"
	case is("after object key:value pair"), is("after array element"):
		if starts("{[\"-0123456789tfn") {
			return "a comma is missing between two values", "inside a loop: {{#unless @last}},{{/unless}}"
		}
		return "a comma or a closing bracket is missing before this", ""
	case is("after object key"):
		return "a colon is missing after the field name", ""
	case is("after top-level value"):
		return "the JSON document has ended before this", "the whole must be one object or one list"
	case is("beginning of object key"):
		return "a field name is missing here", "a field name must be a text in quotes"
	case strings.HasSuffix(before, ":") && starts(",}]"):
		return "a value is missing after the colon", ""
	}
	return "this is not a JSON value", "text must be in quotes"
}
