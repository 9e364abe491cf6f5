package template

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allocated returns the bytes that f allocates. No other test runs meanwhile: the tests that call it are not parallel.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// fill repeats a piece between two ends up to about n bytes.
func fill(begin, piece, end string) func(n int) string {
	return func(n int) string { return begin + strings.Repeat(piece, n/len(piece)) + end }
}

// constructs are all that a source can be full of.
func constructs() map[string]struct {
	source  func(n int) string
	options Options
} {
	text := Options{Mode: Text}
	host := Options{Mode: Text, Helpers: map[string]Helper{"h": {Max: -1, Call: func([]any) (any, error) { return nil, nil }}}}
	macros := Options{Mode: Text, Syntax: Macros}
	return map[string]struct {
		source  func(n int) string
		options Options
	}{
		"one path":                {fill("{{a", ".a", "}}"), text},
		"one path with blanks":    {fill("{{a", " . a", "}}"), text},
		"steps to outer contexts": {fill("{{", "../", "a}}"), text},
		"long paths":              {fill("", "{{"+strings.Repeat("abcdefg.", 100)+"h}}", ""), text},
		"values":                  {fill("", "{{a}}", ""), text},
		"JSON values":             {fill("[", "{{a}},", "0]"), Options{}},
		"JSON strings":            {fill("[", `"\u00e9{{a}}",`, "0]"), Options{}},
		"JSON with a mistake":     {fill("[", "{{a}},", "]"), Options{}},
		"JSON in JSON":            {fill(`["`, `{\"a\":\"{{a}}\"}`, `"]`), Options{}},
		"blocks":                  {fill("", "{{#a}}{{/a}}", ""), text},
		"blocks on lines":         {fill("", "{{#if a}}\nx\n{{else if b}}\ny\n{{else}}\nz\n{{/if}}\n", ""), text},
		"names between bars": {func(n int) string {
			return "{{#each l as |" + strings.Repeat("a ", n/4) + "|}}" + strings.Repeat("{{b}}", n/10) + "{{/each}}"
		}, text},
		"blocks with names":          {fill("", "{{#each l as |a b c d e|}}{{f}}{{/each}}", ""), text},
		"arguments":                  {fill("{{h", " a", "}}"), host},
		"named arguments":            {fill("{{h", " a=b", "}}"), host},
		"subexpressions":             {fill("{{h", " (h)", "}}"), host},
		"numbers":                    {fill("{{h", " -1.5", "}}"), host},
		"texts":                      {fill("{{h", ` "a\""`, "}}"), host},
		"one name":                   {fill("{{", "a", "}}"), text},
		"one unknown helper":         {fill("{{", "a", " b}}"), text},
		"one unclosed block":         {fill("{{#", "a", "}}"), text},
		"one name in brackets":       {fill("{{[", "a", "]}}"), text},
		"one text":                   {fill("{{h '", "a", "'}}"), host},
		"one number":                 {fill("{{h ", "1", "}}"), host},
		"comments":                   {fill("", "{{! a }}", ""), text},
		"comments on lines":          {fill("", "{{!-- -- --}}\n\n\n", ""), text},
		"escapes":                    {fill("", `\{{a}}\\{{a}}`, ""), text},
		"whitespace control":         {fill("", " {{~a~}} ", ""), text},
		"blanks":                     {fill("{{#a}}", " \n", "{{/a}}"), text},
		"blanks in a mustache":       {fill("{{", " ", "a}}"), text},
		"blanks in an else":          {fill("{{#if a}}{{", " ", "else}}{{/if}}"), text},
		"text":                       {fill("", "text ", ""), text},
		"a mistake at the end":       {fill("", "{{a}}", "{{/a}}"), text},
		"URL with comments":          {fill("", "a{{! }}", ""), Options{Mode: URL}},
		"URL with values":            {fill("/", "{{a}}/", ""), Options{Mode: URL}},
		"header":                     {fill("", "a\n{{a}}", ""), Options{Mode: Header}},
		"HTML tags":                  {fill("", `<a href="{{a}}" title='{{a}}'>{{a}}</a>`, ""), Options{Mode: HTML}},
		"HTML with one long tag":     {fill("<", "a", ">"), Options{Mode: HTML}},
		"HTML with one long value":   {fill(`<a href="`, "a", `{{a}}">`), Options{Mode: HTML}},
		"HTML with attributes":       {fill("<a ", `b="{{a}}" `, ">"), Options{Mode: HTML}},
		"macros":                     {fill("", "%%a%%", ""), macros},
		"one macro":                  {fill("%%a", ".a", "%%"), macros},
		"percent signs":              {fill("", "%", ""), macros},
		"percent signs before names": {fill("", "%%%a", ""), macros},
	}
}

// TestCompileCostsInProportionToTheSource: twice the source costs about twice the memory, whatever it is full of, and
// never more than a fixed number of bytes for each byte of source.
func TestCompileCostsInProportionToTheSource(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	const size = 64 << 10
	for name, c := range constructs() {
		cost := func(n int) float64 {
			source := c.source(n)
			return float64(allocated(func() { _, _ = Compile(source, c.options) }))
		}
		half, whole := cost(size/2), cost(size)
		assert.LessOrEqual(t, whole, 2.6*half+64<<10, "%s: %.0f and %.0f bytes", name, half, whole)
		assert.LessOrEqual(t, whole/size, 800., name)
	}
}

func TestPathsAndNamesAreBounded(t *testing.T) {
	t.Parallel()
	path := func(n int) string { return "{{a" + strings.Repeat(".a", n-1) + "}}" }
	bars := func(n int) string { return "{{#each l as |" + strings.Repeat("a ", n) + "|}}{{/each}}" }
	macro := func(n int) string { return "%%a" + strings.Repeat(".a", n-1) + "%%" }
	for _, c := range []struct {
		within, above string
		o             Options
		column        int
	}{
		{path(128), path(129), Options{Mode: Text}, 259},
		{path(67), path(68), Options{Mode: Text, Limits: Limits{Nesting: 3}}, 137},
		{"{{" + strings.Repeat("../", 64) + "a}}", "{{" + strings.Repeat("../", 128) + "a}}", Options{Mode: Text}, 387},
		{bars(16), bars(17), Options{Mode: Text}, 47},
		{macro(128), macro(129), Options{Mode: Text, Syntax: Macros}, 1},
	} {
		compile(t, c.within, c.o)
		e := syntaxError(t, c.above, c.o)
		assert.Equal(t, KindLimit, e.Kind, "%v", e)
		assert.Equal(t, c.column, e.Column, "%v", e)
	}
}

// TestErrorsQuoteLittle: an error about a name of 200 KiB is still something to read.
func TestErrorsQuoteLittle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 200<<10)
	for _, source := range []string{"{{#" + long + "}}", "{{#a}}{{/" + long + "}}", "{{" + long + " a}}", "{{@" + long + "}}", "{{a." + long + ".}}", "{{a " + long + "=1}}",
		"{{upper " + strings.Repeat("1", 200<<10) + "}}", "{{a (" + long + "}}", "{{(" + long + ")}}", "{{#if a b=" + long + "}}{{/if}}"} {
		_, err := Compile(source, Options{Mode: Text})
		if assert.Error(t, err, "%.20s", source) {
			assert.Less(t, len(err.Error()), 400, "%.20s", source)
		}
	}
	_, err := Compile("%%"+long+"%%", Options{Mode: Text, Syntax: Macros, Macros: map[string]string{}})
	assert.Less(t, len(err.Error()), 400)
	for _, f := range compile(t, "{{a."+long+"}}{{"+long[:20<<10]+".a}}", Options{Mode: Text}).Lint(map[string]any{"a": map[string]any{"b": "c"}}) {
		assert.Less(t, len(f.String())+len(f.Path), 500)
	}
	assert.Less(t, len(compile(t, "{{a."+long+"}}", Options{Mode: Text}).Paths()[0].Full), 1100)
}

// TestLintCostsInProportion: to compare a template with an example costs no product of the two, and no power of the
// nesting of either.
func TestLintCostsInProportion(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	fields := func(n int) any {
		m := map[string]any{}
		for i := range n {
			m[fmt.Sprintf("field_%d", i)] = map[string]any{"x": "y", fmt.Sprintf("own_%d", i): "z"}
		}
		return map[string]any{"o": m, "l": []any{m}}
	}
	deep := func(n int) string {
		one := "{{#with a" + strings.Repeat(".a", 100) + "}}"
		return strings.Repeat(one, 60) + strings.Repeat("{{b}}", n/5) + strings.Repeat("{{/with}}", 60)
	}
	for name, c := range map[string]struct {
		source  func(n int) string
		example func(n int) any
	}{
		"misspelt paths":       {fill("", "{{o.feild_77}}", ""), func(n int) any { return fields(n / 200) }},
		"misspelt roots":       {fill("{{#each l}}", "{{fild_7.x}}", "{{/each}}"), func(n int) any { return fields(n / 200) }},
		"loops over an object": {fill("", "{{#each o}}{{x}}{{/each}}", ""), func(n int) any { return fields(n / 200) }},
		"objects in objects":   {fill("", "{{#each o}}{{#each this}}{{this}}{{/each}}{{/each}}", ""), func(n int) any { return fields(n / 200) }},
		"deep contexts":        {deep, func(int) any { return fields(1) }},
	} {
		cost := func(n int) float64 {
			tpl, example := compile(t, c.source(n), Options{Mode: Text}), c.example(n)
			return float64(allocated(func() { tpl.Lint(example); tpl.Paths() }))
		}
		const size = 64 << 10
		half, whole := cost(size/2), cost(size)
		assert.LessOrEqual(t, whole, 2.7*half+64<<10, "%s: %.0f and %.0f bytes", name, half, whole)
		assert.LessOrEqual(t, whole/size, 3000., name)
	}
	found := compile(t, strings.Repeat("{{x}}", 1000), Options{Mode: Text}).Lint(fields(1))
	require.Len(t, found, maxFindings+1)
	assert.Equal(t, KindLimit, found[maxFindings].Kind)

	s := newSuggester()
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("field_%d", i)
	}
	for range 100 {
		s.closest("feild_70000", names)
	}
	assert.Negative(t, s.cells, "the work of suggestions is used up, not exceeded")
	assert.Equal(t, "requester", closest("requestr", []string{"id", "requester"}))
}

// TestTrialIsBounded: a trial takes a fixed multiple of the steps of a render, whatever the template and the example.
func TestTrialIsBounded(t *testing.T) {
	t.Parallel()
	var nested any = []any{"x"}
	for range 60 {
		nested = []any{nested}
	}
	wide := map[string]any{}
	for i := range 2000 {
		wide[fmt.Sprintf("f%d", i)] = []any{map[string]any{"a": "b"}}
	}
	var uses strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&uses, "{{#each o.f%d}}{{a}}{{/each}}", i)
	}
	for name, c := range map[string]struct {
		source  string
		example any
	}{
		"lists in lists": {strings.Repeat("{{#each this}}", 61) + "{{this}}" + strings.Repeat("{{/each}}", 61), nested},
		"many lists":     {uses.String(), map[string]any{"o": wide}},
		"many paths":     {strings.Repeat("{{a}}{{b.c}}", 100) + "{{#if x}}{{/if}}" + uses.String(), map[string]any{"o": wide}},
		"long loops":     {"{{#each l}}{{#each ../l}}{{this}}{{/each}}{{/each}}", map[string]any{"l": make([]any, 1000)}},
	} {
		tpl := compile(t, c.source, Options{Mode: Text, Limits: Limits{Steps: 100_000}})
		asked := &countdown{Context: context.Background(), left: 1 << 30}
		found := tpl.Trial(asked, c.example)
		// The context is asked at least once for 1,024 steps, and once more for each variation.
		assert.Less(t, 1<<30-asked.left, 2*100_000, name)
		if assert.NotEmpty(t, found, name) {
			assert.Contains(t, []Kind{KindLimit, KindSteps}, found[len(found)-1].Kind, "%s: %v", name, found[len(found)-1])
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	source, event := accessRequest(t)
	found := compile(t, source, Options{}).Trial(ctx, event)
	require.Len(t, found, 1)
	assert.Equal(t, KindContext, found[0].Kind)
}
