package template

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestR17_HTML(t *testing.T) {
	t.Parallel()
	data := map[string]any{"x": "&<>\"'`= é"}
	const escaped = "&amp;&lt;&gt;&quot;&#x27;&#x60;&#x3D; é"
	assert.Equal(t, `<b title="`+escaped+`">`, render(t, `<b title="{{x}}">`, Options{Mode: HTML}, data))
	assert.Equal(t, escaped, render(t, "{{#each m}}{{@key}}{{/each}}", Options{Mode: HTML}, map[string]any{"m": map[string]any{data["x"].(string): "v"}}))
	assert.Equal(t, "{&quot;a&quot;:&quot;&lt;&quot;}", render(t, "{{o}}", Options{Mode: HTML}, map[string]any{"o": map[string]any{"a": "<"}}))
	for _, raw := range []string{"{{{x}}}", "{{&x}}", "{{~{x}~}}", "{{#if x}}{{{x}}}{{/if}}"} {
		assert.Equal(t, KindRaw, syntaxError(t, raw, Options{Mode: HTML}).Kind, raw)
		assert.Equal(t, data["x"], render(t, raw, Options{Mode: HTML, AllowRaw: true}, data), raw)
	}
}

func TestR18_TextIsUnchanged(t *testing.T) {
	t.Parallel()
	tpl := compile(t, "{{x}}|{{{x}}}|{{&x}}", Options{Mode: Text})
	for _, s := range hostileStrings() {
		out, err := tpl.Render(context.Background(), nil, map[string]any{"x": s})
		require.NoError(t, err)
		assert.Equal(t, s+"|"+s+"|"+s, string(out))
	}
}

func TestR19_HeaderIsOneLine(t *testing.T) {
	t.Parallel()
	o := Options{Mode: Header}
	assert.Equal(t, "Subject: a  Bcc: x", render(t, "Subject: {{x}}", o, map[string]any{"x": "a\r\nBcc: x"}))
	assert.Equal(t, "a b ", render(t, "a\n{{x}}\n", o, map[string]any{"x": "b"}))
	assert.Equal(t, "é€😀", render(t, "{{x}}", o, map[string]any{"x": "é€😀"}))
	for _, r := range []rune{0, 1, '\t', '\n', '\v', '\f', '\r', 0x1b, 0x7f, 0x80, 0x85, 0x9f, 0x2028, 0x2029} {
		for _, source := range []string{"[{{x}}]", "[{{{x}}}]", "[{{l}}]", "[{{#each m}}{{@key}}{{/each}}]", `[{{default none x}}]`} {
			s := string(r)
			data := map[string]any{"x": s, "l": []any{s}, "m": map[string]any{s: s}}
			assert.Equal(t, "[ ]", render(t, source, o, data), "%U in %s", r, source)
		}
		assert.Equal(t, "[ ]", render(t, "["+string(r)+"]", o, nil), "%U in the template", r)
	}
	assert.True(t, utf8.ValidString(render(t, "{{x}}", o, map[string]any{"x": "\xff\xc3"})))
}

func TestR20_URL(t *testing.T) {
	t.Parallel()
	o := Options{Mode: URL}
	const source = "https://h.example:8443/a/{{x}}/b-{{{x}}}?q={{x}}&r=1#f{{&x}}"
	tpl := compile(t, source, o)
	for _, s := range append(hostileStrings(), "plain", "a/b", "a?b#c", "a&b=c", "user@host", "%2f", "%2e%2e", "..;", "\\..\\") {
		out, err := tpl.Render(context.Background(), nil, map[string]any{"x": s})
		if s == "." || s == ".." {
			var e *RenderError
			require.ErrorAs(t, err, &e, "%q", s)
			assert.Equal(t, KindSegment, e.Kind)
			continue
		}
		require.NoError(t, err, "%q", s)
		u, err := url.Parse(string(out))
		require.NoError(t, err, "%q", out)
		assert.Equal(t, "h.example:8443", u.Host)
		assert.Equal(t, []string{"", "a", url.PathEscape("x"), "b-"}[1], strings.Split(u.EscapedPath(), "/")[1])
		segments := strings.Split(u.EscapedPath(), "/")
		require.Len(t, segments, 4, "%q", out)
		for i, prefix := range map[int]string{2: "", 3: "b-"} {
			got, err := url.PathUnescape(segments[i])
			require.NoError(t, err)
			assert.Equal(t, prefix+s, got)
		}
		assert.Equal(t, url.Values{"q": {s}, "r": {"1"}}, u.Query(), "%q", out)
		assert.Equal(t, "f"+s, u.Fragment)
	}
}

// A part of a URL must stay a path: an empty first segment would make a host of the second.
func TestR20_URLPartKeepsItsPath(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"/{{a}}/{{b}}/x": "", "/{{a}}/evil.example": "", "/{{#if a}}{{a}}{{/if}}/x": "",
		"/v1/{{a}}/x": "/v1//x", "/{{b}}/{{a}}/x": "/b//x", "?a={{a}}": "?a=",
	} {
		tpl := compile(t, source, Options{Mode: URL})
		out, err := tpl.Render(context.Background(), nil, map[string]any{"a": "", "b": "b"})
		if want != "" {
			require.NoError(t, err, source)
			assert.Equal(t, want, string(out))
			continue
		}
		var e *RenderError
		require.ErrorAs(t, err, &e, "%s gave %s", source, out)
		assert.Equal(t, KindSegment, e.Kind)
		assert.Empty(t, out)
	}
	b := compile(t, "/{{a}}/{{b}}/x", Options{Mode: URL})
	_, err := b.Render(context.Background(), nil, map[string]any{"a": "", "b": ".."})
	require.Error(t, err)
}

func TestR20_URLPlaces(t *testing.T) {
	t.Parallel()
	o := Options{Mode: URL}
	for _, source := range []string{"{{x}}", "{{x}}://h/", "https:{{x}}", "https://{{x}}", "https://h{{x}}", "https://h:{{x}}/", "https://u:{{x}}@h/", "//{{x}}/a",
		"//h{{x}}", "h/{{x}}", "https:/{{x}}", "mailto:{{x}}", "https://{{#if x}}a{{/if}}/b", "https://h{{#if x}}/{{/if}}{{x}}", "{{#if x}}https://h/{{/if}}{{x}}",
		"https://h/%{{x}}", "https://h/%4{{x}}", "https://h/%{{! c }}41"} {
		assert.Equal(t, KindPlace, syntaxError(t, source, o).Kind, source)
	}
	data := map[string]any{"x": "a/b", "dot": ".", "two": "..", "e": "", "t": true}
	for source, want := range map[string]string{
		"https://h/{{x}}": "https://h/a%2Fb", "https://h?{{x}}": "https://h?a%2Fb", "https://h#{{x}}": "https://h#a%2Fb", "/p/{{x}}": "/p/a%2Fb",
		"?q={{x}}": "?q=a%2Fb", "//h/{{x}}": "//h/a%2Fb", "/%41{{x}}": "/%41a%2Fb", "https://h/{{#if t}}a/{{x}}{{else}}b{{/if}}?c": "https://h/a/a%2Fb?c",
		"https://h/a.{{dot}}.": "https://h/a...", "https://h/?p={{two}}/../{{two}}#/../": "https://h/?p=../../..#/../", "https://h/...{{dot}}": "https://h/....",
		"https://h/{{l}}": "https://h/1%2Ctrue", "": "",
	} {
		data["l"] = tree(t, `[1,true]`)
		assert.Equal(t, want, render(t, source, o, data), source)
	}
	for _, source := range []string{"https://h/{{two}}", "https://h/{{dot}}/x", "https://h/a/{{dot}}{{dot}}/b", "https://h/.{{dot}}?q", "/{{two}}", "//h/{{two}}",
		"https://h/%2e{{dot}}", "https://h/{{dot}}%2E#", "https://h/a//{{e}}..", "/a/{{two}}", "https://h/{{#if t}}..{{/if}}/{{x}}"} {
		var e *RenderError
		require.ErrorAs(t, renderErr(t, source, o, data), &e, source)
		assert.Equal(t, KindSegment, e.Kind, source)
	}
}

func TestR21_Slack(t *testing.T) {
	t.Parallel()
	data := map[string]any{"x": `<!channel> <http://evil|x> & "q"`}
	const escaped = `&lt;!channel&gt; &lt;http://evil|x&gt; &amp; "q"`
	for _, source := range []string{"{{x}}", "{{{x}}}", "{{&x}}", "{{default none x}}"} {
		assert.Equal(t, escaped, render(t, source, Options{Mode: Slack}, data), source)
	}
	assert.Equal(t, `{"text":"*`+strings.ReplaceAll(escaped, `"`, `\"`)+`*"}`, render(t, `{"text":"*{{slack x}}*"}`, Options{}, data))
	assert.Equal(t, `"`+strings.ReplaceAll(escaped, `"`, `\"`)+`"`, render(t, `{{{slack x}}}`, Options{}, data))
	assert.Equal(t, "<https://a|link> "+escaped, render(t, "<https://a|link> {{x}}", Options{Mode: Slack}, data))
	for mode, helper := range map[Mode]string{Slack: "slack", URL: "url"} {
		assert.Equal(t, KindUnsupported, syntaxError(t, "/{{"+helper+" x}}", Options{Mode: mode}).Kind)
	}
}

func TestR22_Macros(t *testing.T) {
	t.Parallel()
	known := map[string]string{"User": "data.user", "Count": "data.count", "Url": "data.url", "Nothing": "data.nothing"}
	data := tree(t, `{"data":{"user":"%%Count%% \"ada\" {{x}}","count":3,"url":"https://x/?a=b"}}`)
	o := Options{Syntax: Macros, Macros: known}
	for source, want := range map[string]string{
		`{"a":"%%User%%","n":%%Count%%}`:                        `{"a":"%%Count%% \"ada\" {{x}}","n":3}`,
		`{"a":"100%% of %%Count%%"}`:                            `{"a":"100%% of 3"}`,
		`{"a":"%%%Count%%%"}`:                                   `{"a":"%3%"}`,
		`{"a":"%%Count%%Count%%"}`:                              `{"a":"3Count%%"}`,
		`{"a":"%%Count%%%%Count%%"}`:                            `{"a":"33"}`,
		`{"a":"%% Count %%","b":"%%","c":"5%","d":%%Nothing%%}`: `{"a":"%% Count %%","b":"%%","c":"5%","d":null}`,
		`{"a":"{{Count}} \{{x}}}"}`:                             "",
		`{"a":"{{Count}}"}`:                                     `{"a":"{{Count}}"}`,
		`{"link":"%%Url%%&c=%%Count%%"}`:                        `{"link":"https://x/?a=b&c=3"}`,
		`{"static":true}`:                                       `{"static":true}`,
		`[%%User%%]`:                                            `["%%Count%% \"ada\" {{x}}"]`,
	} {
		if want == "" {
			assert.Equal(t, KindEscape, jsonErrorIn(t, source, o).Kind, source)
			continue
		}
		assert.Equal(t, want, render(t, source, o, data), source)
	}
	e := syntaxError(t, "{\"ä\":\n \"%%user%%\"}", o)
	assert.Equal(t, KindMacro, e.Kind)
	assert.Equal(t, [2]int{2, 3}, [2]int{e.Line, e.Column})
	assert.Equal(t, "did you mean %%User%%?", e.Hint)
	assert.Equal(t, KindQuote, jsonErrorIn(t, `{"a":"%%User%% }`, o).Kind)
	assert.Equal(t, KindBackslash, jsonErrorIn(t, `{"a":"\%%User%%"}`, o).Kind)

	// With no known set, a name is a path.
	assert.Equal(t, "3 ", render(t, "%%data.count%% %%Other%%", Options{Syntax: Macros, Mode: Text}, data))
	for name, macros := range map[string]map[string]string{"name": {"a b": "x"}, "path": {"a": "x..y"}, "empty": {"": "x"},
		"helper": {"a": "nosuch x"}, "block": {"a": "if x"}, "quotes": {"a": `default x "y`}, "arguments": {"a": "seconds x y"}, "argument": {"a": "upper x..y"},
		"long": {"a": "x" + strings.Repeat(".x", 128)}} {
		_, err := Compile("", Options{Syntax: Macros, Mode: Text, Macros: macros})
		var e *OptionsError
		require.ErrorAs(t, err, &e, name)
	}
}

func jsonErrorIn(t *testing.T, source string, o Options) *JSONError {
	t.Helper()
	_, err := Compile(source, o)
	var e *JSONError
	require.ErrorAs(t, err, &e, source)
	return e
}

func TestMacroSets(t *testing.T) {
	t.Parallel()
	session, application := SessionMacros(), ApplicationMacros()
	assert.Equal(t, "event_type", session["event"])
	assert.Equal(t, "data.conference_id", session["conference_id"])
	assert.Len(t, session, 12)
	for name, path := range map[string]string{
		"FilePathObjectId": "data.file_path_object_id", "User": "data.user", "TenantId": "tenant", "EventType": "event_type", "Timestamp": "event_time",
		"trustedOwnership": "data.trusted_ownership", "sha1Hash": "data.sha1_hash", "ClsId": "data.cls_id", "UacTriggered": "data.uac_triggered",
		"BtZoneIdentifierExists": "data.bt_zone_identifier_exists", "DownloadSourceUrl": "data.download_source_url",
	} {
		assert.Equal(t, path, application[name], name)
	}
	assert.Len(t, application, 25)
	data := tree(t, `{"event_type":"session.started","event_time":1696263265.851898000,"data":{"lsid":"l"}}`)
	o := Options{Mode: Text, Syntax: Macros, Macros: session}
	assert.Equal(t, "session.started 1 1696263265 l", render(t, "%%event%% %%version%% %%timestamp%% %%lsid%%", o, data), "the values of the form")
	o.Mode = JSON
	assert.Equal(t, `{"t":1696263265,"s":"1696263265","v":"1"}`, render(t, `{"t":%%timestamp%%,"s":"%%timestamp%%","v":%%version%%}`, o, data))
	own := tree(t, `{"event_time":"2023-10-02T16:14:25.9Z","data":{"version":"2.1"}}`)
	o.Mode = Text
	assert.Equal(t, "2.1 1696263265", render(t, "%%version%% %%timestamp%%", o, own))
	paths := compile(t, "%%version%%", o).Paths()
	assert.Equal(t, []Path{{Position: Position{Line: 1, Column: 1}, Written: "%%version%%", Full: "data.version"}}, paths)
	session["event"] = "changed"
	assert.Equal(t, "event_type", SessionMacros()["event"])
	for name := range application {
		compile(t, `{"x":"%%`+name+`%%"}`, Options{Syntax: Macros, Macros: application})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for field, o := range map[string]Options{"Mode": {Mode: 99}, "Syntax": {Syntax: 9}} {
		_, err := Compile("{}", o)
		var e *OptionsError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, field, e.Field)
	}
	assert.Equal(t, "json html text header url slack mode 6", strings.Join([]string{JSON.String(), HTML.String(), Text.String(), Header.String(), URL.String(), Slack.String(), Mode(6).String()}, " "))
	assert.Equal(t, "handlebars macros syntax 2", Handlebars.String()+" "+Macros.String()+" "+Syntax(2).String())
}
