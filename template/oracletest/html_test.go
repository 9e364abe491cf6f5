package oracletest

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/tocsin-go/tocsin/template"
)

// pages makes random HTML templates, sound and broken ones, with values in all places.
type pages struct{ *rand.Rand }

func (p pages) pick(s ...string) string { return s[p.IntN(len(s))] }

func (p pages) value() string { return p.pick("{{x}}", "{{x}}", "{{y}}", "{{url x}}", "{{upper x}}") }

func (p pages) url() string {
	return p.pick("", "https://h/", "/", "//h/", "#", "?a=", "a", "mailto:", "javascript:", "java&#115;cript:", "{{x}}/", "https:", "data:", " ", "{{#if x}}/{{/if}}", "x:", "{{x}}:") +
		p.pick(p.value(), "a/"+p.value(), p.value()+p.value(), "{{#if x}}"+p.value()+"{{else}}b{{/if}}", "{{#each l}}/{{this}}{{/each}}", p.value()+p.pick("/", ":", "?")+p.value())
}

func (p pages) attribute() string {
	quote := p.pick(`"`, `"`, `"`, "'", "")
	content := p.pick(p.value(), "a"+p.value(), "{{#each l}}{{this}} {{/each}}", "b")
	name := p.pick("title", "class", "href", "src", "action", "xlink:href", "style", "onclick", "alt", "srcdoc", "o{{#if x}}n{{/if}}click", "{{x}}", "formaction", "id")
	switch name {
	case "href", "src", "action", "xlink:href", "formaction":
		content = p.url()
	case "style":
		content = p.pick("color:", "", "a:b;", "background:url(", "a:rgb(1,", "font:'") + p.value() + p.pick("", ";c:d", ")", "'")
	}
	attribute := name + "=" + quote + content + quote
	if p.IntN(6) == 0 {
		attribute = "{{#if " + p.pick("x", "none") + "}}" + attribute + p.pick("", " ", "{{else}}"+p.pick("a", "b='c'", "on"), "on") + "{{/if}}"
	}
	return p.pick(" ", " ", " ", "\n", "/", "") + attribute
}

func (p pages) element(depth int) string {
	tag := p.pick("p", "a", "b", "td", "img", "script", "style", "title", "textarea", "svg", "form", "noscript", "iframe", "base", "link", "set", "option", "{{x}}", "DIV", "o:p")
	s := "<" + tag
	for range p.IntN(3) {
		s += p.attribute()
	}
	s += p.pick(">", ">", ">", ">", "/>", " >", "", "{{x}}>")
	return s + p.content(depth-1) + p.pick("</"+tag+">", "</"+tag+">", "", "</"+tag+" >", "</", "</b{{x}}>")
}

func (p pages) content(depth int) string {
	if depth <= 0 {
		return p.pick(p.value(), "text", "")
	}
	var b strings.Builder
	for range 1 + p.IntN(3) {
		switch p.IntN(11) {
		case 0, 1:
			b.WriteString(p.value())
		case 2:
			b.WriteString(p.pick("a < b", "<", "&lt;", "'", `"`, ">", "--", "-->", "]]>", "<!", "<?a>", "=", "<!-->", "<![CDATA[", "]>"))
		case 3:
			b.WriteString("<!--" + p.pick("", "-", "[if mso]>", "[if mso]>", " a ", ">", "->") + p.content(depth-1) + p.pick("-->", "-->", "<![endif]-->", "--!>", ""))
		case 4:
			b.WriteString("{{#" + p.pick("if x", "if none", "unless x", "each l") + "}}" + p.content(depth-1) + p.pick("{{else}}"+p.content(depth-1), "", "") + "{{/")
			return p.closed(b.String())
		default:
			b.WriteString(p.element(depth))
		}
	}
	return b.String()
}

// closed completes the last {{/ with the name of its block.
func (p pages) closed(s string) string {
	var open []string
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "{{")
		if !found {
			return s
		}
		rest = after
		switch {
		case strings.HasPrefix(after, "#"):
			name, _, _ := strings.Cut(after[1:], " ")
			open = append(open, name)
		case after == "/":
			return s + open[len(open)-1] + "}}"
		case strings.HasPrefix(after, "/"):
			open = open[:len(open)-1]
		}
	}
}

// shape lists what a page consists of, but for texts and values of attributes.
func shape(t *testing.T, page string, scripting bool, mark string) []string {
	t.Helper()
	root, err := html.ParseWithOptions(strings.NewReader(page), html.ParseOptionEnableScripting(scripting))
	require.NoError(t, err)
	var shape []string
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			names := []string{"<" + n.Data}
			for _, a := range n.Attr {
				names = append(names, a.Namespace+":"+a.Key)
				checkAttribute(t, page, n.Data, a, mark)
			}
			shape = append(shape, strings.Join(names, " "))
		case html.CommentNode:
			shape = append(shape, "comment")
		case html.TextNode:
			if p := n.Parent; p != nil && (p.Data == "script" || p.Data == "style") {
				require.NotContains(t, n.Data, mark, page)
			}
		default:
		}
	}
	return shape
}

// checkAttribute looks for the mark of hostile data where it would be code.
func checkAttribute(t *testing.T, page, element string, a html.Attribute, mark string) {
	t.Helper()
	if !strings.Contains(strings.ToLower(a.Val), mark) {
		return
	}
	require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "srcdoc", page)
	value := strings.ToLower(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(strings.TrimLeft(a.Val, "\x00\x01 \t\r\n")))
	switch a.Key {
	case "href", "src", "action", "formaction":
		for _, scheme := range []string{"javascript:", "vbscript:", "data:"} {
			require.False(t, strings.HasPrefix(value, scheme), "%s in <%s> of %s", a.Val, element, page)
		}
	case "style":
		require.NotContains(t, value, mark+"(", page)
		require.NotContains(t, value, mark+":", page)
	}
}

// TestHTMLValuesStayInTheirPlaces parses what accepted templates make with the HTML parser of golang.org/x/net: hostile
// and harmless data give the same elements, attributes and comments, with and without scripting.
func TestHTMLValuesStayInTheirPlaces(t *testing.T) {
	t.Parallel()
	const mark = "evil"
	hostile := []string{
		`<evil>`, `"evil`, `'evil`, `evil onclick=a`, `evil" onclick="a`, `evil' onclick='a`, `</title><evil>`, `</script><evil>`, `--><evil>`, `evil--`, `evil-`, `-evil`, `evil!`,
		`javascript:evil`, " java\nscript:evil", "\x01javascript:evil", `JaVaScRiPt:evil`, `data:evil`, `vbscript:evil`, `://evil`, `:evil`, `//evil`, `/evil`, `javascript`, `evil;a:b`, `evil:a`,
		`url(evil)`, `evil(`, "evil`", `&lt;evil&gt;`, `&#106;avascript:evil`, `evil\`, `evil=`, `]]>evil`, `*/evil`, `evil=evil`,
	}
	random := pages{rand.New(rand.NewPCG(5, 6))}
	accepted, refused := 0, 0
	for accepted < 1500 {
		source := random.content(4)
		tpl, err := template.Compile(source, template.Options{Mode: template.HTML})
		if err != nil {
			var syntax *template.SyntaxError
			require.ErrorAs(t, err, &syntax, source)
			refused++
			continue
		}
		if !strings.Contains(source, "{{") {
			continue
		}
		accepted++
		for _, scripting := range []bool{false, true} {
			parts := func(x, y string) []string {
				out, err := tpl.Render(context.Background(), nil, map[string]any{"x": x, "y": y, "l": []any{x, y}})
				require.NoError(t, err, source)
				return shape(t, string(out), scripting, mark)
			}
			want := parts("aa", "bb")
			for range 4 {
				x, y := hostile[random.IntN(len(hostile))], hostile[random.IntN(len(hostile))]
				got := parts(x, y)
				require.True(t, slices.Equal(want, got), "%q and %q in %s\nwant %q\ngot  %q", x, y, source, want, got)
			}
		}
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
}
