package template

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestR10_InvalidOutputIsNeverReturned(t *testing.T) {
	t.Parallel()
	source := "{\n  \"ä\": [{{#each l}}\"{{this}}\",{{/each}}],\n  \"b\": 1\n}"
	tpl := compile(t, source, Options{})
	out, err := tpl.Render(context.Background(), []byte("kept"), tree(t, `{"l":["s3cret","y"]}`))
	assert.Equal(t, "kept", string(out))
	var e *JSONError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, KindOutput, e.Kind)
	assert.Equal(t, Position{Offset: 24, Line: 2, Column: 22}, e.Output)
	assert.Equal(t, "]", source[e.Offset:e.Offset+1])
	assert.Equal(t, Position{Offset: 42, Line: 2, Column: 40}, e.Position)
	assert.Contains(t, e.Hint, "@last")
	assert.NotContains(t, err.Error(), "s3cret")

	// Without blocks it is known when the template is compiled.
	for _, c := range []struct {
		source       string
		line, column int
	}{
		{"", 1, 1}, {"{\"a\":1,}", 1, 8}, {"{\"a\": {{x}}\n", 2, 1}, {"[{{x}}", 1, 7}, {"{\"a\" {{x}} }", 1, 6}, {"{a: 1}", 1, 2}, {"[{{x}} {{y}}]", 1, 8},
		{"{\"ü\":\n  nope}", 2, 4}, {"[1,,2]", 1, 4}, {"[1] 2", 1, 5},
	} {
		e := jsonError(t, c.source)
		assert.Equal(t, KindOutput, e.Kind, c.source)
		assert.Equal(t, [2]int{c.line, c.column}, [2]int{e.Line, e.Column}, "%q: %v", c.source, e)
	}
}

// TestR10_JoinedValues: a value beside a number or word would become part of it.
func TestR10_JoinedValues(t *testing.T) {
	t.Parallel()
	data := tree(t, `{"n":5,"s":"x","l":[1,2],"e":"","z":null}`)
	for _, source := range []string{"[1{{n}}]", "[{{n}}0]", "[{{n}}{{n}}]", "[-{{n}}]", "[{{n}}.5]", "[{{n}}e5]", "[{{#each l}}{{this}}{{/each}}]",
		"[{{n}}{{#if n}}1{{/if}}]", "[{{#if n}}1{{/if}}{{n}}]", "[tru{{z}}]"} {
		tpl, err := Compile(source, Options{})
		if err == nil {
			_, err = tpl.Render(context.Background(), nil, data)
		}
		var e *JSONError
		require.ErrorAs(t, err, &e, source)
	}
	assert.JSONEq(t, `[5,"x5",1,2]`, render(t, `[{{n}}{{#if n}},{{/if}}"{{s}}{{n}}"{{#each l}},{{this}}{{/each}}]`, Options{}, data))
}

func hostileStrings() []string {
	return []string{
		`"`, `\`, `","admin":true,"x":"`, "\n", "\r\n", "\x00", "\x1f", "\x7f", "\u2028", "\u2029", "\u0085", `\u0022`, `\"`, "</script>",
		"<!channel>", "<http://evil|x>", "{{x}}", "{{{x}}}", "%%User%%", "%%", "\xff\xfe", "\xed\xa0\x80", "\xc3", "日本", "😀", "'", "`=`", "a&b",
		"}", "]", ",", ":", "null", "1e5", "..", ".", "/", "?a=b", "#f", "%2e", "%", " ", "\t", "\b\f", strings.Repeat(`"\`, 50), "\ufeff", "\u202e",
	}
}

func TestR11_StringsDecodeToTheInput(t *testing.T) {
	t.Parallel()
	tpl := compile(t, `{"{{x}}":"{{x}}","v":{{x}},"t":"{{{x}}}","a":"[{{&x}}]" }`, Options{})
	random := rand.New(rand.NewPCG(1, 2))
	inputs := hostileStrings()
	for range 20_000 {
		b := make([]byte, random.IntN(20))
		for i := range b {
			b[i] = byte(random.IntN(256))
			if random.IntN(3) == 0 {
				b[i] = "\"\\/bfnrtu0019{}"[random.IntN(15)]
			}
		}
		inputs = append(inputs, string(b))
	}
	for _, in := range inputs {
		out, err := tpl.Render(context.Background(), nil, map[string]any{"x": in})
		require.NoError(t, err, "%q", in)
		var got map[string]string
		require.NoError(t, json.Unmarshal(out, &got))
		want := strings.ToValidUTF8(in, "\uFFFD")
		if want != in { // one U+FFFD for each invalid byte
			want = string([]rune(in))
		}
		if in == "v" || in == "t" || in == "a" {
			continue
		}
		require.Equal(t, map[string]string{want: want, "v": want, "t": want, "a": "[" + want + "]"}, got, "%q", in)
	}
}

func TestR12_AllBracesAreTheSameInJSON(t *testing.T) {
	t.Parallel()
	data := map[string]any{"x": `a"b<&>`, "m": map[string]any{`k"<`: `v"`}}
	o := Options{Helpers: map[string]Helper{"h": {Call: func([]any) (any, error) { return `r"<`, nil }}}}
	assert.Equal(t, `["a\"b<&>","a\"b<&>","a\"b<&>"]`, render(t, `["{{x}}","{{{x}}}","{{&x}}"]`, o, data))
	assert.Equal(t, `["a\"b<&>","a\"b<&>","a\"b<&>"]`, render(t, `[{{x}},{{{x}}},{{&x}}]`, o, data))
	assert.Equal(t, `["k\"<=v\"","k\"<",1]`, render(t, `[{{#each m}}"{{@key}}={{{this}}}",{{@key}},{{/each}}1]`, o, data))
	assert.Equal(t, `["r\"<","r\"<","R\"<"]`, render(t, `[{{h}},"{{{h}}}","{{upper (h)}}"]`, o, data))
}

func TestR13_Values(t *testing.T) {
	t.Parallel()
	data := tree(t, `{"n":9007199254740993,"f":1696263265.851898000,"neg":-0.5e-7,"yes":true,"no":false,"z":null,"s":"a\"b",
		"l":[1,"a",null,[true,"b"],{"k":"v"}],"o":{"z":1,"a":[{}],"q":"\""},"el":[],"eo":{}}`)
	for _, c := range []struct{ source, want string }{
		{"{{n}}", "9007199254740993"}, {"{{f}}", "1696263265.851898000"}, {"{{neg}}", "-0.5e-7"}, {"{{yes}}", "true"}, {"{{no}}", "false"},
		{"{{z}}", "null"}, {"{{none}}", "null"}, {"{{none.x.y}}", "null"}, {"{{s}}", `"a\"b"`}, {"{{el}}", "[]"}, {"{{eo}}", "{}"},
		{"{{l}}", `[1,"a",null,[true,"b"],{"k":"v"}]`}, {"{{o}}", `{"a":[{}],"q":"\"","z":1}`}, {"{{l.length}}", "5"},
		{`"{{n}} {{f}}"`, `"9007199254740993 1696263265.851898000"`}, {`"{{yes}}{{no}}"`, `"truefalse"`}, {`"[{{z}}{{none}}]"`, `"[]"`},
		{`"{{l}}"`, `"1,a,,true,b,{\"k\":\"v\"}"`}, {`"{{o}}"`, `"{\"a\":[{}],\"q\":\"\\\"\",\"z\":1}"`}, {`"{{el}}{{eo}}"`, `"{}"`},
		{"{{json o}}", `{"a":[{}],"q":"\"","z":1}`}, {`"{{json o}}"`, `"{\"a\":[{}],\"q\":\"\\\"\",\"z\":1}"`}, {`"{{json s}}"`, `"\"a\\\"b\""`},
		{"{{json s}}", `"a\"b"`}, {"{{json none}}", "null"}, {`"{{json none}}"`, `"null"`}, {"[{{#each l}}{{@index}},{{@first}},{{/each}}0]", "[0,true,1,false,2,false,3,false,4,false,0]"},
		{"{{@root.n}}", "9007199254740993"}, {`{"a": {{json l}} }`, `{"a": [1,"a",null,[true,"b"],{"k":"v"}] }`},
	} {
		assert.Equal(t, c.want, render(t, c.source, Options{}, data), c.source)
	}
	_, err := Normalise(map[string]any{"x": json.Number("NaN")})
	require.Error(t, err)
	// A json.Number that is none, in data that nobody normalised, is text.
	for _, bad := range []string{"NaN", "Inf", `1,"x":2`, "", "-", "01", "1.", "1e", "0x1"} {
		assert.True(t, json.Valid([]byte(render(t, `[{{x}},"{{x}}"]`, Options{}, map[string]any{"x": json.Number(bad)}))), bad)
	}
}

func TestR14_StaticContextErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		kind   Kind
		column int
	}{
		{`{"a":{{#if x}}"b{{else}}"c"{{/if}} }`, KindBranch, 6},
		{`{"a":"{{#if x}}b"{{/if}} }`, KindBranch, 7},
		{`["{{#unless x}}{{else}}"{{/unless}}]`, KindBranch, 3},
		{`["{{#with x}}"{{/with}}]`, KindBranch, 3},
		{`["{{#if x}}a{{else if y}}"{{else}}c{{/if}}]`, KindBranch, 13},
		{`[{{#each x}}"a{{/each}}]`, KindLoop, 2},
		{`["{{#each x}}a"{{/each}}"]`, KindLoop, 3},
		{`["{{#x}}a"{{/x}}]`, KindLoop, 3},
		{`{"a":"{{x}} }`, KindQuote, 6},
		{`{"a":"b}`, KindQuote, 6},
		{`{"a":"b` + "\n" + `"}`, KindControl, 8},
		{`{"a":"b` + "\x01" + `"}`, KindControl, 8},
		{`{"a":"\x"}`, KindEscape, 8},
		{`{"a":"\u12g4"}`, KindEscape, 11},
		{`{"a":"\u12{{x}}"}`, KindBackslash, 11},
		{`{"a":"\\{{x}}"}`, KindBackslash, 9},
		{`{"a":"\\{{#if x}}n{{/if}}"}`, KindBackslash, 9},
		{`{"a":"{{#if x}}\\{{/if}}n"}`, KindBranch, 7},
		{`{"a":"{{#each x}}\\{{/each}}n"}`, KindLoop, 7},
	} {
		e := jsonError(t, c.source)
		assert.Equal(t, c.kind, e.Kind, "%q: %v", c.source, e)
		assert.Equal(t, 1, e.Line, c.source)
		assert.Equal(t, c.column, e.Column, "%q: %v", c.source, e)
	}
	// What is only unusual is accepted.
	data := tree(t, `{"x":"v","l":[1,2],"t":true}`)
	for source, want := range map[string]string{
		`{"{{x}}{{#if t}}k{{else}}q{{/if}}":"\u0041\/{{x}}"}`:         `{"vk":"\u0041\/v"}`,
		`[{{#if t}}"a"{{else}}"b","c"{{/if}}]`:                        `["a"]`,
		`["{{#each l}}{{this}}{{#if @last}}.{{/if}}{{/each}}"]`:       `["12."]`,
		`{"path":"C:\\\{{x}}"}`:                                       `{"path":"C:\\v"}`,
		`{"open":"{{! " }}"}`:                                         `{"open":""}`,
		`{"a":"\{{x}}"}`:                                              `{"a":"{{x}}"}`,
		"{\n{{#if t}}\n\"a\": 1\n{{else}}\n\"b\": 2\n{{/if}}\n}":      "{\n\"a\": 1\n}",
		`[{{#if t}}"{{x}}{{#if x}}"{{else}}"{{/if}},"{{/if}}{{x}}",1`: "",
	} {
		if want == "" {
			_, err := Compile(source, Options{})
			require.Error(t, err)
			continue
		}
		assert.Equal(t, want, render(t, source, Options{}, data), source)
	}
}

func TestR15_SameBytesEveryTime(t *testing.T) {
	t.Parallel()
	data := map[string]any{"m": map[string]any{}}
	for i := range 50 {
		data["m"].(map[string]any)[strings.Repeat("k", i%7)+string(rune('a'+i%26))+strings.Repeat("z", i)] = json.Number("1")
	}
	const source = `[{{#each m}}{{@key}},"{{@index}}",{{/each}}{{m}},"{{m}}",{{json m}}]`
	want := render(t, source, Options{}, data)
	for range 50 {
		again, err := Normalise(data)
		require.NoError(t, err)
		require.Equal(t, want, render(t, source, Options{}, again))
	}
}

func TestR16_ConditionsSeeRawValues(t *testing.T) {
	t.Parallel()
	data := tree(t, `{"q":"\"<&>'","e":"","zero":0,"zeros":0.000,"n":10,"ten":10.0,"text":"10","l":[],"k":"a\"b","m":{"a\"b":"found","<":"lt"},"lt":"<","b":true,"eo":{}}`)
	for _, mode := range []Mode{JSON, HTML, Text, Slack, Header} {
		source := `"{{#if q}}1{{/if}}{{#unless e}}2{{/unless}}{{#unless zero}}3{{/unless}}{{#unless zeros}}4{{/unless}}` +
			`{{#equal q "\"<&>'"}}5{{else}}no{{/equal}}{{#if (equal n ten)}}6{{/if}}{{#if (equal n text)}}7{{/if}}{{#equal b true}}8{{/equal}}` +
			`{{#equal none null}}9{{/equal}}{{#equal m m}}no{{else}}A{{/equal}}{{#equal lt "<"}}B{{/equal}}{{#equal n 11}}no{{/equal}}` +
			`{{lookup m k}}{{lookup m lt}}{{#if eo}}C{{/if}}{{#if zero includeZero=true}}D{{/if}}{{#unless zero includeZero=true}}no{{else}}E{{/unless}}"`
		assert.Equal(t, `"123456789ABfoundltCDE"`, render(t, source, Options{Mode: mode}, data), mode.String())
	}
}

func TestR10_Explanations(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"":                  "the output is empty",
		`[{{x}}`:            "ends too early",
		`[{{x}},]`:          "a comma is not followed by anything",
		`{"a":{{x}}, }`:     "a comma is not followed by anything",
		`[,{{x}}]`:          "two commas",
		`[{{x}},,1]`:        "two commas",
		`[{{x}} {{x}}]`:     "a comma is missing",
		`{"a":{{x}} "b":1}`: "a comma is missing",
		`{"a":{{x}} ]`:      "a comma or a closing bracket is missing",
		`{"a" {{x}} }`:      "a colon is missing",
		`{{x}},`:            "has ended before",
		`{"a":1}}`:          "has ended before",
		`{a: 1}`:            "a field name is missing",
		`{"a":}`:            "a value is missing",
		`{"a":tru}`:         "not a JSON value",
		`{"a":'x'}`:         "not a JSON value",
	} {
		assert.Contains(t, jsonError(t, source).Message, want, source)
	}
}
