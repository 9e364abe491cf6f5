package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// generator makes random JSON templates over the fields of twin data.
type generator struct {
	*rand.Rand
	depth int
}

func (g *generator) pick(s ...string) string { return s[g.IntN(len(s))] }

func (g *generator) path() string {
	return g.pick("s", "s2", "n", "b", "no", "z", "none", "l", "o", "o.s", "o.l", "m", "l.length", "s.length", "@root.s", "../s", "this", "./s2",
		"l.[0]", "o.o.s", "@index", "@key", "@first", "@last", "recs", "this.s", "es", "el")
}

func (g *generator) expression() string {
	e := g.path()
	switch g.IntN(12) {
	case 0:
		e = g.pick("upper ", "lower ", "json ", "slack ", "url ", "join ", "date ") + e
	case 1:
		e = "default " + e + ` "d\"<"`
	case 2:
		e = "lookup " + g.pick("m o", "l 0", `o "s"`, "recs 1")
	case 3:
		e = "truncate s " + g.pick("1", "5", "100")
	case 4:
		e = "json (lookup " + g.pick("recs 0", `o "s"`) + ")"
	}
	return g.pick("{{", "{{{", "{{&", "{{~", "{{ ") + e
}

func (g *generator) mustache() string {
	e := g.expression()
	switch {
	case strings.HasPrefix(e, "{{{"):
		return e + "}}}"
	case g.IntN(10) == 0:
		return e + "~}}"
	}
	return e + "}}"
}

func (g *generator) condition() string {
	return g.pick("if s", "if no", "unless n", "if z", "if el", "unless es", "with o", "each l", "each recs", "each m", "each el", "s", "l", "recs", "o", "no",
		"if (equal s s)", "equal n n", "each o.l", "with s", "if @last", "unless @first", "z", "each recs as |r i|", "b")
}

// block wraps parts in a block; with a separator the last iteration has none.
func (g *generator) block(part func() string, separator string) string {
	c := g.condition()
	name, _, _ := strings.Cut(c, " ")
	s := "{{#" + c + "}}" + part()
	if strings.HasPrefix(c, "each") && separator != "" {
		s += "{{#unless @last}}" + separator + "{{/unless}}"
	}
	if g.IntN(2) == 0 || separator == "" && g.IntN(4) > 0 {
		s += g.pick("{{else}}", "{{^}}") + part()
	}
	return s + "{{/" + name + "}}"
}

func (g *generator) text() string {
	var b strings.Builder
	for range g.IntN(4) {
		switch g.IntN(6) {
		case 0, 1, 2:
			b.WriteString(g.mustache())
		case 3:
			b.WriteString(g.pick("a", " ", `\n`, `\u00e9`, `\"`, `\/`, `\\ `, "é", "<b>"))
		case 4:
			b.WriteString(g.block(g.text, ""))
		case 5:
			b.WriteString(g.pick("{{! c }}", `\{{x}}`, `\\\{{s}}`, "}}", "{"))
		}
	}
	return b.String()
}

func (g *generator) value() string {
	g.depth++
	defer func() { g.depth-- }()
	n := 9
	if g.depth > 4 {
		n = 4
	}
	switch g.IntN(n) {
	case 0:
		return g.pick("1", "true", "null", "-2.5e3", `"x"`)
	case 1, 2:
		return `"` + g.text() + `"`
	case 3:
		return " " + g.mustache() + " "
	case 4:
		return "[" + g.value() + "," + g.value() + "]"
	case 5:
		return `{"a":` + g.value() + `,"` + g.text() + `":` + g.value() + " }"
	case 6:
		return "[" + g.pick("{{#each l}}", "{{#each recs}}", "{{#each m}}", "{{#each el}}") + g.value() + "{{#unless @last}},{{/unless}}{{/each}}]"
	case 7:
		return "[" + g.block(g.value, ",") + "]"
	}
	return g.block(g.value, "")
}

// template is a random template; one of four is damaged.
func (g *generator) template() string {
	s := g.value()
	if g.IntN(4) == 0 && len(s) > 2 {
		i := g.IntN(len(s) - 1)
		switch g.IntN(3) {
		case 0:
			s = s[:i] + s[i+1:]
		case 1:
			s = s[:i] + g.pick(`"`, `\`, "{{s}}", ",", "1", "{", "}", "\n", "{{n}}") + s[i:]
		case 2:
			j := i + g.IntN(len(s)-i)
			s = s[:i] + s[j:]
		}
	}
	return s
}

// twins returns data of one structure, with harmless and with hostile texts.
func (g *generator) twins() (benign, hostile map[string]any) {
	evil := hostileStrings()
	text := func(hostile bool) string {
		if hostile {
			return evil[g.IntN(len(evil))] + g.pick("", "x", `"`)
		}
		return g.pick("abc", "hello", "x")
	}
	length := g.IntN(4)
	tree := func(hostile bool) map[string]any {
		texts := func() any {
			l := []any{}
			for range length {
				l = append(l, text(hostile))
			}
			return l
		}
		keyed := map[string]any{}
		for i := range length {
			keyed[fmt.Sprint(i, text(hostile))] = text(hostile)
		}
		record := func() any {
			return map[string]any{"s": text(hostile), "s2": text(hostile), "n": json.Number("3"), "l": texts(), "o": map[string]any{"s": text(hostile)}}
		}
		return map[string]any{
			"s": text(hostile), "s2": text(hostile), "n": json.Number("12.50"), "b": true, "no": false, "z": nil, "l": texts(), "o": record(),
			"m": keyed, "recs": []any{record(), record()}, "es": "", "el": []any{},
		}
	}
	return tree(false), tree(true)
}

// tokens reduces a JSON document to its shape: brackets and kinds of values.
func tokens(t testing.TB, doc []byte) string {
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(doc))
	for {
		token, err := d.Token()
		if err != nil {
			require.ErrorContains(t, err, "EOF", "%q", doc)
			return b.String()
		}
		switch v := token.(type) {
		case json.Delim:
			b.WriteRune(rune(v))
		case string:
			b.WriteByte('s')
		case float64:
			b.WriteByte('n')
		case bool:
			b.WriteByte('b')
		case nil:
			b.WriteByte('0')
		}
	}
}

// TestR09_DataNeverChangesTheShape: 46,000 random templates, each rendered with harmless and with hostile data of one
// structure. Both fail, or both give JSON of the same shape.
func TestR09_DataNeverChangesTheShape(t *testing.T) {
	t.Parallel()
	count, seed := 46_000, uint64(7)
	if raceEnabled {
		count = 4_000
	}
	if s := os.Getenv("TOCSIN_TEMPLATE_SEED"); s != "" {
		_, err := fmt.Sscan(s, &seed)
		require.NoError(t, err)
	}
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	accepted, rendered, withText := 0, 0, 0
	for range count {
		source := g.template()
		tpl, err := Compile(source, Options{})
		if err != nil {
			continue
		}
		accepted++
		benign, hostile := g.twins()
		first, err1 := tpl.Render(context.Background(), nil, benign)
		second, err2 := tpl.Render(context.Background(), nil, hostile)
		require.Equal(t, err1 == nil, err2 == nil, "template %q\nbenign %v\nhostile %v\n%q\n%q", source, err1, err2, first, hostile)
		if err1 != nil {
			continue
		}
		rendered++
		require.True(t, json.Valid(second), "%q gave %q", source, second)
		require.Equal(t, tokens(t, first), tokens(t, second), "template %q\nbenign %s\nhostile %s", source, first, second)
		if !bytes.Equal(first, second) {
			withText++
		}
	}
	t.Logf("%d templates, %d accepted, %d rendered, %d with texts of the data", count, accepted, rendered, withText)
	require.Greater(t, rendered, count*6/10)
	require.Greater(t, withText, count/6)
}
