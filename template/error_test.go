package template

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestR26_Positions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, source string
		line, column int
	}{
		{"first character", "{{/a}}", 1, 1},
		{"second line", "a\nb {{/a}}", 2, 3},
		{"after CRLF", "a\r\nb\r\n {{/a}}", 3, 2},
		{"after multi-byte text", "äö日😀{{/a}}", 1, 5},
		{"after a multi-line mustache", "{{#if\n  a\n}}x{{/if}}\n {{/a}}", 4, 2},
		{"inside a multi-line mustache", "{{upper\n  ä\n   nosuch(}}", 3, 11},
		{"unknown helper in a multi-line mustache", "{{#if\r\n  (nosuch a)}}{{/if}}", 2, 4},
		{"after a carriage return in a mustache", "{{a\r}}{{b\r\n}} {{/a}}", 2, 4},
		{"after a shortened comment", "{{!-- a\nb --}}ä {{/a}}", 2, 9},
		{"after a renamed word", "{{elsewhere}} {{1a}} {{-b}} {{/a}}", 1, 29},
		{"closing name", "{{#if a}}\n  x\n{{/unless}}", 3, 4},
		{"unclosed block", "x\n  {{#if a}}y", 2, 3},
		{"unclosed mustache", "x\n  {{a\n\n", 2, 3},
		{"unclosed comment", "x\n{{! a", 2, 1},
		{"unclosed text", "x\n{{upper 'a}}", 2, 9},
		{"unclosed bracket", "x\n{{[a}}", 2, 3},
		{"second else", "{{#if a}}{{else}}\n{{else}}{{/if}}", 2, 1},
		{"bad path", "{{upper\n a/../b}}", 2, 4},
		{"too many arguments", "ä {{\nlookup a b c}}", 2, 1},
		{"unknown variable", "ä\n {{upper @foo}}", 2, 10},
		{"variable at the end", "{{@}}", 1, 4},
		{"not UTF-8", "ä\n\ufffd {{a}}\xc3(", 2, 8},
	} {
		e := syntaxError(t, c.source, Options{Mode: Text})
		assert.Equal(t, [2]int{c.line, c.column}, [2]int{e.Line, e.Column}, "%s: %q: %v", c.name, c.source, e)
	}
	e := jsonError(t, "{\r\n \"ä\": \"x\n\"}")
	assert.Equal(t, Position{Offset: 12, Line: 2, Column: 9}, e.Position)
	var r *RenderError
	require.ErrorAs(t, renderErr(t, "é\r\n{{#if a}}\r\n{{/if}} {{fail\r\n}}", Options{Mode: Text, Helpers: map[string]Helper{
		"fail": {Call: func([]any) (any, error) { return nil, errors.New("x") }}}}, nil), &r)
	assert.Equal(t, [2]int{3, 11}, [2]int{r.Line, r.Column})
	assert.Equal(t, "render: template 3:11: the helper fail failed", r.Error())
}

// TestByteOrderMark: the mark that some editors put before a text is no part of it, and moves no position.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	data := map[string]any{"a": "x"}
	assert.Equal(t, `{"a":"x"}`, render(t, "\uFEFF{\"a\":\"{{a}}\"}", Options{}, data))
	assert.Equal(t, "x", render(t, "\uFEFF{{#if a}}\n{{a}}{{/if}}", Options{Mode: Text}, data), "the block stands alone on its line")
	assert.Equal(t, "/x", render(t, "\uFEFF/{{a}}", Options{Mode: URL}, data))
	assert.Equal(t, "x", render(t, "\uFEFF%%a%%", Options{Mode: Header, Syntax: Macros}, data))
	e := syntaxError(t, "\uFEFFab\n{{#if}}", Options{Mode: Text})
	assert.Equal(t, Position{Offset: 6, Line: 2, Column: 1}, e.Position)
	assert.Equal(t, Position{Offset: 3, Line: 1, Column: 1}, syntaxError(t, "\uFEFF{{/a}}", Options{Mode: Text}).Position)
	paths := compile(t, "\uFEFF{{a}}{{b}}\n{{c}}", Options{Mode: Text}).Paths()
	assert.Equal(t, []Position{{5, 1, 3}, {10, 1, 8}, {16, 2, 3}}, []Position{paths[0].Position, paths[1].Position, paths[2].Position})
	assert.Equal(t, "a\uFEFF", render(t, "a\uFEFF", Options{Mode: Text}, data), "elsewhere it is a character")
}

// TestMistakesAreNamed: what is likely to be typed wrong is named at its place, with what to write.
func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source        string
		column        int
		message, hint string
	}{
		{`"{{data.id}"`, 11, "one } does not close this {{", "close it with }}"},
		{`{"a":"{{data.id}","b":"{{x}}"}`, 16, "one } does not close this {{", "close it with }}"},
		{`"{{#if a}x{{/if}}"`, 9, "one } does not close this {{", "close it with }}"},
		{`"{{{a} "`, 6, "one } does not close this {{", "close it with }}"},
		{`"{{data.id"`, 11, "a quote stands where the {{ before it must be closed", "close it with }}"},
		{`"{{data..id}}"`, 8, "two dots stand between two names", "write one dot"},
		{`"{{upper data..id}}"`, 14, "two dots stand between two names", "write one dot"},
		{`"{{data...id}}"`, 8, "two dots", "write one dot"},
		{`"{{data.}}"`, 8, "a name is missing after this dot", ""},
		{`"{{upper data.id. }}"`, 17, "a name is missing after this dot", ""},
		{`"{{.data.id}}"`, 4, "a name is missing after {{", "a path begins with a name: data"},
		{`"{{data.id | upper}}"`, 12, `unexpected "|"`, "a helper stands before its value"},
		{`"{{#if a == b}}{{/if}}"`, 11, "a name is missing", "compare with (equal a b)"},
	} {
		e := syntaxError(t, c.source, Options{})
		assert.Equal(t, c.column, e.Column, "%s: %v", c.source, e)
		assert.Contains(t, e.Message, c.message, c.source)
		assert.Contains(t, e.Hint, c.hint, c.source)
	}
	// What looks like a mistake and is none.
	data := tree(t, `{"a":{"b":"x"},"c":"y"}`)
	assert.Equal(t, "xX Y", render(t, `{{#with a}}{{b}}{{upper ../a.b}}{{/with}} {{upper"y"}}`, Options{Mode: Text}, data))
}

func TestR27_Hints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, hint string }{
		{`{"a":{{x}}}`, "put a space before it: }} }"},
		{`{"a":{"b":{{x}}}}`, "put a space before it: }} }"},
		{`{{{#each l}}x{{/each}}}`, "put a space after it: { {{"},
		{`{"a":{{{#if x}}1{{/if}}}`, "put a space after it: { {{"},
		{`{{{{x}}}}`, "put a space after it"},
		{`{"a":{{{x}} }`, "put a space between it and the mustache"},
		{`{{l.0}}`, "write it in brackets: l.[0]"},
		{`{{a.this}}`, "[this]"},
		{`{{#if a}}`, "close it with {{/if}}"},
		{`{{if a}}`, "{{#if path}}"},
	} {
		e := syntaxError(t, c.source, Options{})
		assert.Contains(t, e.Hint, c.hint, "%q: %v", c.source, e)
		assert.Contains(t, e.Error(), c.hint)
	}
	e := jsonError(t, `{"path":"C:\\{{x}}"}`)
	assert.Contains(t, e.Hint, "write three")
	assert.Equal(t, `{"path":"C:\\v"}`, render(t, `{"path":"C:\\\{{x}}"}`, Options{}, map[string]any{"x": "v"}))
	assert.Equal(t, `{"a":"v" }`, render(t, `{"a":{{x}} }`, Options{}, map[string]any{"x": "v"}))
}

func TestR28_NotHandlebarsAndNotJSONAreDifferentErrors(t *testing.T) {
	t.Parallel()
	var syntax *SyntaxError
	var notJSON *JSONError
	var render *RenderError
	_, err := Compile(`{"a": {{#if}}}`, Options{})
	require.ErrorAs(t, err, &syntax)
	assert.NotErrorAs(t, err, &notJSON)
	_, err = Compile(`{"a": "{{x}} }`, Options{})
	require.ErrorAs(t, err, &notJSON)
	assert.NotErrorAs(t, err, &syntax)
	err = renderErr(t, `{"a": 1, {{#if x}}"b": 2{{/if}} }`, Options{}, nil)
	require.ErrorAs(t, err, &notJSON)
	assert.NotErrorAs(t, err, &syntax)
	assert.NotErrorAs(t, err, &render)
}
