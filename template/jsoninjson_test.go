package template

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// embed writes a template for JSON as the content of a JSON string: its text is escaped, its expressions are not.
func embed(t testing.TB, source string) string {
	t.Helper()
	var b strings.Builder
	for source != "" {
		text, expression, _ := strings.Cut(source, "{{")
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		b.Write(quoted[1 : len(quoted)-1])
		if expression == "" {
			break
		}
		expression, source, _ = strings.Cut(expression, "}}")
		b.WriteString("{{" + expression + "}}")
	}
	return b.String()
}

// unembed decodes a JSON text and, as often as asked, the field doc of what it holds.
func unembed(t testing.TB, out string, levels int) map[string]any {
	t.Helper()
	for ; ; levels-- {
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(out), &v), out)
		if levels == 0 {
			return v
		}
		require.Len(t, v, 1, out)
		out = v["doc"].(string)
	}
}

// TestInnerDocumentKeepsItsShape: a value in a document that stands in a string, however deep, stays one value of it.
func TestInnerDocumentKeepsItsShape(t *testing.T) {
	t.Parallel()
	const inner = `{ "justification": "by {{s}}, {{{s}}} and {{&s}}", "value": {{s}}, "{{s}}": [{{#each l}}"{{this}}"{{#unless @last}}, {{/unless}}{{/each}}],` +
		` "all": {{l}}, "n": {{n}}, "none": {{none}}, "object": {{json o}}, "as text": "{{o}}", "line": "a\nb\\c\"{{#if s}}d{{else}}e{{/if}}" }`
	for level := range maxJSONLevels {
		source := inner
		for range level {
			source = `{"doc": "` + embed(t, source) + `"}`
		}
		tpl := compile(t, source, Options{})
		for _, s := range append(hostileStrings(), `urgent", "approved_by": "ceo@example.com`, `\", \"approved_by\": \"x`, `{"a":"b"}`, "plain") {
			data := map[string]any{"s": s, "l": []any{s, "x", s}, "n": json.Number("12345678901234567890.5"), "o": map[string]any{s: s}}
			out, err := tpl.Render(context.Background(), nil, data)
			require.NoError(t, err, "%q", s)
			want := string([]rune(s)) // one U+FFFD for each invalid byte
			list := []any{want, "x", want}
			text, err := json.Marshal(map[string]any{want: want})
			require.NoError(t, err)
			got := unembed(t, string(out), level)
			var asText any
			require.NoError(t, json.Unmarshal([]byte(got["as text"].(string)), &asText))
			require.JSONEq(t, string(text), got["as text"].(string))
			delete(got, "as text")
			ending := "d"
			if s == "" {
				ending = "e"
			}
			require.Equal(t, map[string]any{
				"justification": "by " + want + ", " + want + " and " + want, "value": want, want: list, "all": list, "n": 12345678901234567890.5, "none": nil,
				"object": map[string]any{want: want}, "line": "a\nb\\c\"" + ending,
			}, got, "%d levels, %q", level, s)
		}
	}
}

func TestInnerDocuments(t *testing.T) {
	t.Parallel()
	data := tree(t, `{"x":"a\"b","n":1,"l":["p\"","q"],"o":{"k":"v\""},"t":true,"data":{"justification":"urgent\", \"approved_by\": \"ceo@example.com"}}`)
	for source, want := range map[string]string{
		`{"description": "{ \"justification\": \"{{data.justification}}\" }"}`: `{"description": "{ \"justification\": \"urgent\\\", \\\"approved_by\\\": \\\"ceo@example.com\" }"}`,
		`"{\"a\": {{json o}} }"`:                             `"{\"a\": {\"k\":\"v\\\"\"} }"`,
		`"{\"a\": {{x}}, \"n\": {{n}}}"`:                     "",
		`"[{\"a\": \"{{x}}\"}]"`:                             `"[{\"a\": \"a\\\"b\"}]"`,
		`"[\"{{x}}\", {{x}} ]"`:                              `"[\"a\\\"b\", \"a\\\"b\" ]"`,
		`" \n\t{\"a\": \"{{x}}\"}\n{\"b\": \"{{x}}\"}"`:      `" \n\t{\"a\": \"a\\\"b\"}\n{\"b\": \"a\\\"b\"}"`,
		`"\u007b\u0022a\u0022: \u0022{{x}}\u0022}"`:          `"\u007b\u0022a\u0022: \u0022a\\\"b\u0022}"`,
		`"{ {{#if t}}\"a\": \"{{x}}\"{{/if}} }"`:             `"{ \"a\": \"a\\\"b\" }"`,
		`"{{#if t}}{\"a\": \"{{x}}\"}{{else}}none{{/if}}"`:   `"{\"a\": \"a\\\"b\"}"`,
		`"{{#each l}}{\"a\": \"{{this}}\"}\n{{/each}}"`:      `"{\"a\": \"p\\\"\"}\n{\"a\": \"q\"}\n"`,
		`"{{#each l}}{\"a\": \"{{this}}\"}, {{/each}}{{x}}"`: `"{\"a\": \"p\\\"\"}, {\"a\": \"q\"}, a\"b"`,
		// Text that is no document is text, whatever brackets are in it.
		`"[{{x}}] {{x}}"`:                           `"[a\"b] a\"b"`,
		`"[{{t}}, {{n}}]"`:                          `"[true, 1]"`,
		`"{ {{x}} } {\"a\": \"{{x}}\"}"`:            `"{ a\"b } {\"a\": \"a\"b\"}"`,
		`"[urgent] \"{{x}}\""`:                      `"[urgent] \"a\"b\""`,
		`"{\"a\": 1} is {{x}}"`:                     `"{\"a\": 1} is a\"b"`,
		`"[\"a\"]: \"{{x}}\""`:                      `"[\"a\"]: \"a\"b\""`,
		`"{} {{x}}"`:                                `"{} a\"b"`,
		`"see {\"a\": \"{{x}}\"}"`:                  `"see {\"a\": \"a\"b\"}"`,
		`"{{x}}{\"a\": \"{{x}}\"}"`:                 `"a\"b{\"a\": \"a\"b\"}"`,
		`"{{#if t}}[{{/if}}{{x}}{{#if t}}]{{/if}}"`: `"[a"b]"`,
		`"{{#if none}}[{{/if}}{{#if t}}{{#if none}}x{{/if}}{ {{/if}}\"a\": \"{{x}}\"}"`: `"{ \"a\": \"a\\\"b\"}"`,
		`"{{#if t}}a{{/if}}{\"a\": \"{{x}}\"}"`:                                         `"a{\"a\": \"a\"b\"}"`,
	} {
		if want == "" {
			assert.Equal(t, KindSyntax, syntaxError(t, source, Options{}).Kind, "}}} needs a space in a string too: %s", source)
			continue
		}
		want = strings.ReplaceAll(want, `a"b`, `a\"b`)
		assert.Equal(t, want, render(t, source, Options{}, data), source)
	}
	macros := Options{Syntax: Macros}
	assert.Equal(t, `"{ \"a\": \"a\\\"b\", \"n\": 1 }"`, render(t, `"{ \"a\": \"%%x%%\", \"n\": %%n%% }"`, macros, data))
}

func TestInnerDocumentErrors(t *testing.T) {
	t.Parallel()
	deep := `{"a": "{{x}}"}`
	for range maxJSONLevels {
		deep = `{"a": "` + embed(t, deep) + `"}`
	}
	for _, c := range []struct {
		source string
		kind   Kind
		column int
	}{
		{`"{\"a\": \"{{x}} }"`, KindQuote, 19},
		{`"{\"a\": \"\\q{{x}}\" }"`, KindEscape, 14},
		{`"{\"a\": \"\n{{x}}\" }"`, KindControl, 13},
		{`"{\"a\": \"\\\\\\u00{{x}}\" }"`, KindBackslash, 21},
		{`"{\"a\": {{#if x}}\"b{{/if}} }"`, KindBranch, 10},
		{`"{\"a\": {{#if x}}\"b\"{{else}}\"{{/if}} }"`, KindBranch, 10},
		{`"{\"a\": \"{{#each x}}b\", \"{{/each}}\" }"`, "", 0},
		{`"{\"a\": \"{{#each x}}b\"{{/each}}\" }"`, KindLoop, 12},
		{`"{ {{#if x}}\"{{/if}} }"`, KindBranch, 4},
		{deep, KindLimit, 0},
	} {
		if c.kind == "" {
			compile(t, c.source, Options{})
			continue
		}
		e := jsonError(t, c.source)
		assert.Equal(t, c.kind, e.Kind, "%s: %v", c.source, e)
		assert.NotEmpty(t, e.Hint, c.source)
		if c.column > 0 {
			assert.Equal(t, c.column, e.Column, "%s: %v", c.source, e)
		}
	}
}
