package template

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHTMLPlacesThatAreRefused(t *testing.T) {
	t.Parallel()
	for source, reason := range map[string]string{
		"<{{x}}>":                                     "name of a tag",
		"</{{x}}>":                                    "name of a tag",
		"<b{{x}}>":                                    "name of a tag",
		"<b {{x}}>":                                   "name of an attribute",
		"<b a{{x}}>":                                  "name of an attribute",
		"<b a {{x}}>":                                 "name of an attribute",
		`<b a="1"{{x}}>`:                              "name of an attribute",
		"<b a={{x}}>":                                 "without quotes",
		"<b a= {{x}}>":                                "without quotes",
		"<b a=b{{x}}>":                                "without quotes",
		"<a href={{x}}>":                              "without quotes",
		"<!-- {{x}} -->":                              "comment",
		"<!--[if mso {{x}}]>":                         "comment",
		"<!doctype {{x}}>":                            "comment or declaration",
		"<?{{x}}>":                                    "comment or declaration",
		"<script>var a = '{{x}}'</script>":            "content of <script>",
		"<SCRIPT type='a'>{{x}}":                      "content of <script>",
		"<script><!--<script></script>{{x}}":          "content of <script>",
		"<script></scripty>{{x}}":                     "content of <script>",
		"<style>a{color:{{x}} }</style>":              "content of <style>",
		"<noscript>{{x}}</noscript>":                  "content of <noscript>",
		"<iframe>{{x}}</iframe>":                      "content of <iframe>",
		"<plaintext></plaintext>{{x}}":                "content of <plaintext>",
		"<title><a href='{{x}}'></title>":             "<title> holds what looks like a tag",
		"<textarea></text{{x}}":                       "<textarea> holds what looks like a tag",
		`<b onclick="f('{{x}}')">`:                    "is code",
		`<b ONLOAD='{{x}}'>`:                          "is code",
		`<b a:onclick='{{x}}'>`:                       "is code",
		`<iframe srcdoc="{{x}}">`:                     "is code",
		`<img srcset="{{x}} 2x">`:                     "is code",
		`<meta http-equiv="{{x}}">`:                   "is code",
		`<meta content="0;url={{x}}">`:                "is code",
		`<script src="https://h/{{x}}">`:              "is code",
		`<animate to="{{x}}">`:                        "is code",
		`<param name="src" value="{{x}}">`:            "is code",
		`<svg XML:base="{{x}}">`:                      "is code",
		`<a href="javascript:{{x}}">`:                 "part of a script",
		`<a href=" JavaScript:f({{x}})">`:             "part of a script",
		"<a href=\"java\tscript:{{x}}\">":             "part of a script",
		`<a href="javascript&colon;{{x}}">`:           "part of a script",
		`<a href="&#106;avascript:{{x}}">`:            "part of a script",
		`<a href="data:text/html,{{x}}">`:             "part of a script",
		`<svg xlink:href="vbscript:{{x}}">`:           "part of a script",
		`<a href="https:{{x}}">`:                      "host and port",
		`<a href="https://{{x}}/">`:                   "host and port",
		`<a href="https://h{{x}}/">`:                  "host and port",
		`<a href="//h:{{x}}/">`:                       "host and port",
		`<a href="{{x}}://h/">`:                       "scheme of a URL",
		`<a href="{{x}}{{x}}:a">`:                     "scheme of a URL",
		`<a href="s{{x}}:a">`:                         "scheme of a URL",
		`<a href="/{{x}}/{{x}}">`:                     "beginning of a URL",
		`<a href="{{#if x}}/{{/if}}{{x}}/{{x}}">`:     "beginning of a URL",
		`<a href="{{#if x}}javascript:{{/if}}{{x}}">`: "part of a script",
		`<base href="{{x}}">`:                         "what <base> loads",
		`<link rel="stylesheet" href="{{x}}">`:        "what <link> loads",
		`<iframe src="{{x}}">`:                        "what <iframe> loads",
		`<b style="{{x}}">`:                           "before the colon",
		`<b style="color:red;{{x}}:a">`:               "before the colon",
		`<b style="background:url({{x}})">`:           "in parentheses",
		`<b {{#if x}}on{{/if}}click="{{x}}">`:         "goes on here",
		`<b {{#if x}}href{{/if}}="{{x}}">`:            "goes on here",
		`<!--[if mso]><a title="-->{{x}}">`:           "ends the comment",
	} {
		e := syntaxError(t, source, Options{Mode: HTML})
		assert.Equal(t, KindPlace, e.Kind, "%s: %v", source, e)
		assert.Contains(t, e.Message, reason, source)
		assert.NotEmpty(t, e.Hint, source)
		compile(t, source, Options{Mode: HTML, AllowRaw: true})
		assert.Equal(t, KindPlace, syntaxErrorOfMacros(t, source).Kind, source)
	}
	e := syntaxError(t, "<p>\n<b title='é' onclick=\"f('{{x}}')\">", Options{Mode: HTML})
	assert.Equal(t, Position{Offset: 30, Line: 2, Column: 26}, e.Position)
	for source, kind := range map[string]Kind{
		`<a {{#if x}}href="{{else}}b="1"{{/if}}">`:       KindBranch,
		`{{#if x}}<b {{/if}}>`:                           KindBranch,
		`{{#if x}}<script>{{/if}}{{x}}`:                  KindBranch,
		`{{#if x}}<!--[if mso]>{{/if}}{{x}}`:             KindBranch,
		`{{#unless x}}<!--{{else}}{{/unless}}`:           KindBranch,
		`{{#each x}}<b {{/each}}>`:                       KindLoop,
		`<b {{#each x}}click="{{this}}" on{{/each}}="">`: KindLoop,
		`<a href="{{#each x}}/{{this}}{{/each}}">`:       KindLoop,
		`<a href="{{#each x}}{{this}}{{/each}}">`:        KindLoop,
		`<b style="a:{{#each x}}{{this}};{{/each}}">`:    KindLoop,
	} {
		e := syntaxError(t, source, Options{Mode: HTML})
		assert.Equal(t, kind, e.Kind, "%s: %v", source, e)
	}
}

// syntaxErrorOfMacros compiles the same text with %%x%% for {{x}}, without blocks.
func syntaxErrorOfMacros(t *testing.T, source string) *SyntaxError {
	t.Helper()
	if strings.Contains(source, "{{#") {
		return &SyntaxError{Kind: KindPlace}
	}
	return syntaxError(t, strings.ReplaceAll(source, "{{x}}", "%%x%%"), Options{Mode: HTML, Syntax: Macros})
}

func TestHTMLPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, x, want string }{
		{"{{x}}", `<a href="b">`, "&lt;a href&#x3D;&quot;b&quot;&gt;"},
		{"a < b & {{x}}", "<", "a < b & &lt;"},
		{"<title>{{x}}</title><p>{{x}}", "</title>", "<title>&lt;/title&gt;</title><p>&lt;/title&gt;"},
		{"<textarea>a < {{x}}</textarea>", "<", "<textarea>a < &lt;</textarea>"},
		{"<script>a</script >{{x}}", "<", "<script>a</script >&lt;"},
		{"<style>a{}</style>{{x}}<!-- b --><!-->{{x}}<!doctype html>{{x}}", "<", "<style>a{}</style>&lt;<!-- b --><!-->&lt;<!doctype html>&lt;"},
		{`<b title="{{x}}" class='{{x}}'>`, `"'>`, `<b title="&quot;&#x27;&gt;" class='&quot;&#x27;&gt;'>`},
		{`<meta name="a" CONTENT2="{{x}}"/>`, `"`, `<meta name="a" CONTENT2="&quot;"/>`},
		{`<option {{#if x}}selected{{/if}} value="{{x}}">{{x}}`, `1`, `<option selected value="1">1`},
		{`<td {{#if x}}class="{{x}}"{{else}}id="{{x}}"{{/if}}>`, "c", `<td class="c">`},
		{`<td width={{#if x}}"{{x}}"{{else}}"9"{{/if}}>`, "1", `<td width="1">`},
		{`{{#each l}}<li>{{this}}</li>{{/each}}`, "", `<li>&lt;</li><li>b</li>`},
		{`<b title="{{#each l}}{{this}} {{/each}}">`, "", `<b title="&lt; b ">`},
		// URLs
		{`<a href="{{x}}">`, `https://h/a?b=c&d="e"`, `<a href="https://h/a?b&#x3D;c&amp;d&#x3D;%22e%22">`},
		{`<a href="{{x}}">`, `javascript:alert(1)`, `<a href="#">`},
		{`<a href="{{x}}">`, " \tjava\nscript:alert(1)", `<a href="#">`},
		{`<a href="{{x}}">`, "JAVASCRIPT:alert(1)", `<a href="#">`},
		{`<a href="{{x}}">`, "\x01javascript:alert(1)", `<a href="#">`},
		{`<a href="{{x}}">`, "vbscript:a", `<a href="#">`},
		{`<a href="{{x}}">`, "data:text/html,<script>", `<a href="#">`},
		{`<a href="{{x}}">`, "MailTo:a@b.example", `<a href="MailTo:a@b.example">`},
		{`<a href="{{x}}">`, "/a:b", `<a href="/a:b">`},
		{`<a href="{{x}}">`, "é ü", `<a href="é%20ü">`},
		{`<a href="{{x}}">`, "", `<a href="">`},
		{`<img src='{{x}}'>`, "javascript:a", `<img src='#'>`},
		{`<form action="{{x}}">`, "javascript:a", `<form action="#">`},
		{`<svg><a xlink:href="{{x}}">`, "javascript:a", `<svg><a xlink:href="#">`},
		{`<a href="{{x}}/b/{{y}}?c={{x}}">`, "https://h", `<a href="https://h/b/p%2Fq?c=https%3A%2F%2Fh">`},
		{`<a href="https://h/{{x}}">`, `a/../b?c#d&"é`, `<a href="https://h/a%2F..%2Fb%3Fc%23d%26%22%C3%A9">`},
		{`<a href="https://h/?a={{url x}}&b={{x}}">`, "a b", `<a href="https://h/?a=a%20b&b=a%20b">`},
		{`<a href="{{url x}}">`, "javascript:a", `<a href="javascript%3Aa">`},
		{`<a href="page{{x}}">`, ":a", `<a href="page%3Aa">`},
		{`<a href="{{x}}{{y}}">`, "javascript", `<a href="javascriptp%2Fq">`},
		{`<a href="/{{x}}">`, "/evil.example", `<a href="/%2Fevil.example">`},
		{`<a href="#{{x}}">`, ":", `<a href="#%3A">`},
		{`<a href="mailto:{{x}}?subject={{x}}">`, "a+b@c.example?bcc=d", `<a href="mailto:a+b@c.example%3Fbcc%3Dd?subject=a%2Bb%40c.example%3Fbcc%3Dd">`},
		{`<a href="tel:{{x}}">`, "+43 1", `<a href="tel:+43%201">`},
		{`<a href="slack://channel?id={{x}}">`, "a&b", `<a href="slack://channel?id=a%26b">`},
		{`<a href="{{#if x}}{{x}}{{else}}https://h/{{/if}}">`, "javascript:a", `<a href="#">`},
		{`<a href="{{#if y}}https://a{{else}}https://b{{/if}}/{{x}}">`, "//", `<a href="https://a/%2F%2F">`},
		{`<iframe src="https://h/{{x}}">`, "//", `<iframe src="https://h/%2F%2F">`},
		// styles
		{`<b style="color:{{x}};margin:0">`, "#9b1c1c", `<b style="color:#9b1c1c;margin:0">`},
		{`<b style="color: {{x}}">`, "red;background:url(https://evil/)", `<b style="color: redbackgroundurlhttpsevil">`},
		{`<b style="font-family:'{{x}}', Arial">`, `a'"\é</b>`, `<b style="font-family:'aéb', Arial">`},
		// the comments of Outlook
		{`<!--[if mso]><td width="{{x}}"><a href="{{x}}">{{x}}</a><![endif]-->{{x}}`, "javascript:<", `<!--[if mso]><td width="javascript:&lt;"><a href="#">javascript:&lt;</a><![endif]-->javascript:&lt;`},
		{`<!--[if !mso]><!-->{{x}}<!--<![endif]-->{{x}}`, "<", `<!--[if !mso]><!-->&lt;<!--<![endif]-->&lt;`},
		{`<![if !mso]>{{x}}<![endif]>{{x}}`, "<", `<![if !mso]>&lt;<![endif]>&lt;`},
	} {
		data := map[string]any{"x": c.x, "y": "p/q", "l": []any{"<", "b"}}
		assert.Equal(t, c.want, render(t, c.source, Options{Mode: HTML}, data), "%s with %q", c.source, c.x)
	}
}
