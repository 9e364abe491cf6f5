package template

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// steps renders and returns the number of steps taken.
func steps(t testing.TB, source string, o Options, data any) int {
	t.Helper()
	o.Mode = Text
	_, used, err := compile(t, source, o).render(context.Background(), nil, data, math.MaxInt)
	require.NoError(t, err, source)
	return used
}

// bulky is data with n bytes wherever a template can read or write them.
func bulky(n int) map[string]any {
	s := strings.Repeat("<é", n/3)
	var list []any
	for i := 0; i < n; i += 256 {
		list = append(list, strings.Repeat("i", 256))
	}
	twin := "x" + s[1:]
	return map[string]any{
		"s": s, "twin": twin[:len(twin)-1] + "!", "same": string([]byte(s)), "list": list, "one": []any{s}, "o": map[string]any{s: s}, "keys": map[string]any{s + "a": "1", s + "b": "2"},
		"zeros": json.Number("0." + strings.Repeat("0", n)), "layout": strings.Repeat("2006 ", n/5), "short": "a", "time": json.Number("1"),
		"around": map[string]any{"same": []any{string([]byte(s))}},
	}
}

var workHelpers = map[string]Helper{
	"ignore": {Min: 1, Max: 1, Call: func([]any) (any, error) { return nil, nil }},
	"grow": {Min: 1, Max: 1, Call: func(args []any) (any, error) {
		s, _ := args[0].(string)
		return map[string]any{"k": []any{s}}, nil
	}},
}

// TestStepsCountBytes: whatever reads or writes n bytes takes steps in proportion to n, also when nothing of it is
// output.
func TestStepsCountBytes(t *testing.T) {
	t.Parallel()
	const size = 60_000
	o := Options{Helpers: workHelpers, Limits: Limits{Output: 1 << 30}}
	small, large := bulky(size), bulky(2*size)
	var sources []string
	for _, call := range []string{
		"upper s", "lower s", "truncate s 1000000", "url s", "slack s", "json s", "json one", "json o", "json keys", "join list", "join one", "join list s", "upper list",
		"default none (upper s)", "truncate short s", "equal s same", "equal s (lower same)", "lookup o s", "lookup o same", "lookup s 'length'", "date time layout", "ignore s", "ignore one.[0]", "grow s",
		"upper (lower (url (slack (json s))))",
	} {
		sources = append(sources, "{{#if ("+call+")}}{{/if}}", "{{#each ("+call+")}}{{/each}}", "{{#with ("+call+")}}{{/with}}")
	}
	sources = append(sources, "{{#each keys}}{{/each}}", "{{#if zeros}}{{/if}}", "{{#if (lookup zeros 'x')}}{{/if}}", "{{#if s.length}}{{/if}}", "{{#unless x includeZero=zeros}}{{/unless}}")
	for _, source := range sources {
		few, many := steps(t, source, o, small), steps(t, source, o, large)
		assert.GreaterOrEqual(t, few, size/(2*bytesPerStep), source)
		assert.GreaterOrEqual(t, float64(many)/float64(few), 1.8, "%s: %d and %d steps", source, few, many)
	}
	level := "{{#each one}}{{#each @root.around.same}}{{/each}}{{/each}}" // an element is compared with the context around
	assert.GreaterOrEqual(t, steps(t, level, o, small), size/(2*bytesPerStep))
	name := "{{[" + strings.Repeat("n", size) + "]}}"
	assert.GreaterOrEqual(t, steps(t, name, o, small), size/(4*bytesPerStep))
	// What does not read all of a text is not charged for it.
	for _, source := range []string{"{{#if s}}{{/if}}", "{{truncate s 10}}", "{{#if (truncate s 10)}}{{/if}}", "{{#if (default s 1)}}{{/if}}", "{{#if (equal s short)}}{{/if}}", "{{#if (date s)}}{{/if}}"} {
		assert.Less(t, steps(t, source, o, large), 20, source)
	}
}

// TestStepsBoundMemory: random expressions never allocate more than a fixed number of bytes for each step.
func TestStepsBoundMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(s ...string) string { return s[random.IntN(len(s))] }
	var value func(depth int) string
	value = func(depth int) string {
		if depth == 0 {
			return pick("s", "list", "one", "o", "keys", "same", "twin", "zeros", "layout", "short", "none", `"text"`, "3", "list.[0]", "s.length")
		}
		inner := value(depth - 1)
		return "(" + pick("upper "+inner, "lower "+inner, "url "+inner, "slack "+inner, "json "+inner, "join "+inner, "join list "+inner, "truncate "+inner+" 50000", "default none "+inner,
			"equal "+inner+" same", "lookup o "+inner, "date time "+inner, "seconds "+inner, "ignore "+inner, "grow "+inner) + ")"
	}
	o := Options{Mode: Text, Helpers: workHelpers}
	data := bulky(60_000)
	for range 300 {
		source := "{{#" + pick("if", "each", "with") + " " + value(1+random.IntN(5)) + "}}{{/"
		source += source[3:strings.IndexByte(source, ' ')] + "}}"
		tpl := compile(t, source, o)
		var used int
		var err error
		bytes := allocated(func() { _, used, err = tpl.render(context.Background(), nil, data, math.MaxInt) })
		var render *RenderError
		require.True(t, err == nil || errors.As(err, &render) && render.Kind == KindSize, "%s: %v", source, err)
		if err == nil {
			assert.LessOrEqual(t, bytes, uint64(32*bytesPerStep*used+16<<10), "%s: %d steps", source, used)
		}
	}
}

// TestHelpersCannotGrowTexts: helpers within helpers make no text longer than an output may be.
func TestHelpersCannotGrowTexts(t *testing.T) {
	t.Parallel()
	nest := func(helper string) string {
		return "{{#if " + strings.Repeat("("+helper+" ", 60) + "s" + strings.Repeat(")", 60) + "}}{{/if}}"
	}
	for _, helper := range []string{"json", "url", "slack"} {
		tpl := compile(t, nest(helper), Options{Mode: Text})
		_, used, err := tpl.render(context.Background(), nil, map[string]any{"s": strings.Repeat(`"%&`, 20_000)}, math.MaxInt)
		var e *RenderError
		require.ErrorAs(t, err, &e, helper)
		assert.Equal(t, KindSize, e.Kind)
		assert.Less(t, used, 60*(8<<20)/bytesPerStep)
	}
}

// TestLoopsOverHelpersEndEarly is the finding that helpers were free: 400 calls on 200 KiB, in a loop of loops.
func TestLoopsOverHelpersEndEarly(t *testing.T) {
	t.Parallel()
	data := map[string]any{"s": strings.Repeat("x", 200<<10), "t": strings.Repeat("x", 200<<10), "l": make([]any, 400)}
	for _, call := range []string{"upper @root.s", "url @root.s", "json @root.s", "truncate @root.s 1000000", "equal @root.s @root.t", "join @root.s @root.s", "default (lower @root.s) 1"} {
		source := "{{#each l}}{{#each ../l}}{{#if (" + call + ")}}{{/if}}{{/each}}{{/each}}"
		if strings.HasPrefix(call, "join") {
			source = strings.ReplaceAll(source, "join @root.s", "join @root.l")
		}
		var e *RenderError
		require.ErrorAs(t, renderErr(t, source, Options{Mode: Text}, data), &e, call)
		assert.Contains(t, []Kind{KindSteps, KindSize}, e.Kind, call)

		// The context is asked in proportion to the bytes as well: here every 64 KiB.
		asked := &countdown{Context: context.Background(), left: 5}
		_, err := compile(t, source, Options{Mode: Text}).Render(asked, nil, data)
		require.ErrorAs(t, err, &e, call)
		assert.Contains(t, []Kind{KindContext, KindSize}, e.Kind, call)
	}
}

// TestFindingThePlaceEndsWithTheContext: an output that is not JSON is rendered a second time, under the same context.
func TestFindingThePlaceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	data := map[string]any{"l": make([]any, 20_000)}
	tpl := compile(t, "[{{#each l}}1,{{/each}}]", Options{})
	asked := &countdown{Context: context.Background(), left: 1 << 30}
	_, err := tpl.Render(asked, nil, data)
	var notJSON *JSONError
	require.ErrorAs(t, err, &notJSON)
	once := (1<<30 - asked.left) / 2
	cut := &countdown{Context: context.Background(), left: once + 3}
	_, err = tpl.Render(cut, nil, data)
	require.ErrorAs(t, err, &notJSON)
	assert.Equal(t, -1, cut.left, "the second render ended when the context did")
}
