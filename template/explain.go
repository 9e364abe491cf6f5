package template

import (
	"encoding/json"
	"errors"
	"sort"
	"strings"
)

// write notes that the instruction pc appended something at an offset of the output.
type write struct{ offset, pc int }

// retrace runs the program again and notes which instruction wrote what, which a normal run has no time for. When the
// context is done meanwhile, the place found is the last one reached.
func (m *machine) retrace(steps int) []write {
	again := &machine{t: m.t, tracing: true}
	again.begin(m.ctx, nil, m.root, steps)
	again.run()
	return again.trace
}

// writer returns the instruction that wrote the byte at an offset of the output, and the offset in what it wrote.
func (t *Template) writer(trace []write, offset int) (in instruction, into int) {
	i := sort.Search(len(trace), func(i int) bool { return trace[i].offset > offset })
	if i == 0 {
		return instruction{}, 0
	}
	w := trace[i-1]
	return t.code[w.pc], offset - w.offset
}

// invalid describes an output that is not JSON.
func (t *Template) invalid(out string, trace []write) error {
	var syntax *json.SyntaxError
	var ignored any
	state := ""
	at := len(out)
	if errors.As(json.Unmarshal([]byte(out), &ignored), &syntax) {
		state = syntax.Error()
	}
	e := &JSONError{Kind: KindOutput}
	if syntax == nil || strings.HasPrefix(state, "unexpected end") {
		e.Position = t.lines.at(len(t.lines.text))
	} else {
		at = int(syntax.Offset) - 1 // encoding/json counts the bytes read
		in, into := t.writer(trace, at)
		e.Position = t.lines.at(in.pos)
		if in.op == opText {
			e.Position = t.lines.at(in.pos + min(into, len(in.text)))
		}
	}
	e.Output = newLineIndex(out).at(at)
	e.Message, e.Hint = explain(state, strings.TrimRight(out[:at], " \t\r\n"), out[at:])
	return e
}

// explain words what is wrong between two halves of a text that is not JSON. state is encoding/json's description. The
// result does not quote the text, which is data.
func explain(state, before, after string) (message, hint string) {
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
