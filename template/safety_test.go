package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestR02_CompileErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		kind   Kind
	}{
		{"{{if a}}", KindUnsupported},
		{"{{each a}}", KindUnsupported},
		{"{{with}}", KindUnsupported},
		{"{{upper (if a)}}", KindUnsupported},
		{"{{#upper a}}x{{/upper}}", KindUnsupported},
		{"{{> part}}", KindUnsupported},
		{"{{#> part}}{{/part}}", KindUnsupported},
		{"{{{{raw}}}}{{{{/raw}}}}", KindUnsupported},
		{"{{* deco}}", KindUnsupported},
		{`{{#* inline "x"}}{{/inline}}`, KindUnsupported},
		{"{{#if a as |b|}}{{/if}}", KindUnsupported},
		{"{{nosuch a}}", KindHelper},
		{"{{upper (nosuch a)}}", KindHelper},
		{"{{upper (a)}}", KindHelper},
		{"{{a.b c}}", KindHelper},
		{`{{"a b" c}}`, KindHelper},
		{"{{#nosuch a}}{{/nosuch}}", KindHelper},
		{"{{upper a b}}", KindArity},
		{"{{upper (lower)}}", KindArity},
		{"{{lookup a}}", KindArity},
		{"{{equal a}}", KindArity},
		{"{{join a b c}}", KindArity},
		{"{{upper a x=1}}", KindArity},
		{"{{#if}}{{/if}}", KindArity},
		{"{{#if a b}}{{/if}}", KindArity},
		{"{{#each}}{{/each}}", KindArity},
		{"{{#with a b}}{{/with}}", KindArity},
		{"{{#each a x=true}}{{/each}}", KindArity},
		{"{{#if a includeZero=true other=true}}{{/if}}", KindArity},
		{"{{#with a includeZero=true}}{{/with}}", KindArity},
		{"{{@this}}", KindVariable},
		{"{{@level}}", KindVariable},
		{"{{#each a}}{{@indx}}{{/each}}", KindVariable},
	} {
		e := syntaxError(t, c.source, Options{Mode: Text})
		assert.Equal(t, c.kind, e.Kind, "%q: %v", c.source, e)
		assert.NotEmpty(t, e.Message)
	}
	assert.Equal(t, "did you mean @index?", syntaxError(t, "{{@indx}}", Options{}).Hint)
	assert.Equal(t, "did you mean upper?", syntaxError(t, "{{uper a}}", Options{Mode: Text}).Hint)
}

// TestR02_FieldsNamedLikeHelpers: a value helper needs arguments, so its bare name is a field.
func TestR02_FieldsNamedLikeHelpers(t *testing.T) {
	t.Parallel()
	data := tree(t, `{"url":"u","date":{"x":"d"},"join":["j"]}`)
	assert.Equal(t, "u d j", render(t, "{{url}} {{#date}}{{x}}{{/date}} {{#each join}}{{this}}{{/each}}", Options{Mode: Text}, data))
	e := syntaxError(t, "a{{#if x}}", Options{Mode: Text})
	assert.Equal(t, KindSyntax, e.Kind)
}

func TestR03_Limits(t *testing.T) {
	t.Parallel()
	text := func(l Limits) Options { return Options{Mode: Text, Limits: l} }
	nested := func(n int) string { return strings.Repeat("{{#a}}", n) + strings.Repeat("{{/a}}", n) }
	calls := func(n int) string {
		return "{{upper " + strings.Repeat("(upper ", n) + "a" + strings.Repeat(")", n) + "}}"
	}
	chain := func(n int) string { return "{{#if a}}" + strings.Repeat("{{else if a}}", n-1) + "{{/if}}" }
	for _, c := range []struct {
		name          string
		within, above string
		o             Options
	}{
		{"source default", strings.Repeat("x", 256<<10), strings.Repeat("x", 256<<10+1), text(Limits{})},
		{"source", "12345", "123456", text(Limits{Source: 5})},
		{"nesting default", nested(64), nested(65), text(Limits{})},
		{"nesting", nested(3), nested(4), text(Limits{Nesting: 3})},
		{"subexpressions", calls(64), calls(65), text(Limits{})},
		{"else if", chain(64), chain(65), text(Limits{})},
		{"blanks default", "{{!x" + strings.Repeat(" ", 256) + "}}", "{{!x" + strings.Repeat(" ", 257) + "}}", text(Limits{})},
		{"blanks", "{{!--x  x--}}", "{{!--x   x--}}", text(Limits{CommentBlanks: 2})},
	} {
		compile(t, c.within, c.o)
		assert.Equal(t, KindLimit, syntaxError(t, c.above, c.o).Kind, c.name)
	}
	list := make([]any, 1000)
	for i := range list {
		list[i] = "0123456789"
	}
	data := map[string]any{"l": list, "big": strings.Repeat("x", 1<<20), "over": strings.Repeat("x", 1<<20+1)}
	assert.Len(t, render(t, "{{big}}", text(Limits{}), data), 1<<20)
	for _, c := range []struct {
		source string
		kind   Kind
		l      Limits
	}{
		{"{{over}}", KindSize, Limits{}},
		{"{{big}}.", KindSize, Limits{}},
		{"{{l}}", KindSize, Limits{Output: 10_000}},
		{"{{json l}}", KindSize, Limits{Output: 10_000}},
		{"{{#each l}}{{this}}{{/each}}", KindSize, Limits{Output: 9_999}},
		{"{{#each l}}{{/each}}", KindSteps, Limits{Steps: 1000}},
		{"{{#each l}}{{#each ../l}}{{/each}}{{/each}}", KindSteps, Limits{}},
		{"{{#each l}}{{join ../l}}{{/each}}", KindSteps, Limits{Steps: 100_000, Output: 1 << 30}},
		{"{{#each l}}{{#each @root}}{{/each}}{{/each}}", KindSteps, Limits{Steps: 3000}},
	} {
		var e *RenderError
		require.ErrorAs(t, renderErr(t, c.source, text(c.l), data), &e, c.source)
		assert.Equal(t, c.kind, e.Kind, "%q: %v", c.source, e)
	}
	// A list of null joined by nothing has no output, but costs steps.
	nulls := map[string]any{"n": make([]any, 2_000_000)}
	var e *RenderError
	require.ErrorAs(t, renderErr(t, `{{join n ""}}`, text(Limits{}), nulls), &e)
	assert.Equal(t, KindSteps, e.Kind)
	// The empty body of a loop costs at least a step for each iteration.
	render(t, "{{#each l}}{{/each}}", text(Limits{Steps: 1002}), data)
}

// countdown is a context that is done after its Err has been asked n times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestR03_ContextIsCheckedEvery1024Steps(t *testing.T) {
	t.Parallel()
	list := make([]any, 100_000)
	tpl := compile(t, "{{#each l}}{{/each}}", Options{Mode: Text})
	asked := &countdown{Context: context.Background(), left: 1 << 30}
	_, err := tpl.Render(asked, nil, map[string]any{"l": list})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, 1<<30-asked.left, len(list)/1024)

	for _, left := range []int{0, 1, 50} {
		out, err := tpl.Render(&countdown{Context: context.Background(), left: left}, nil, map[string]any{"l": list})
		var e *RenderError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, KindContext, e.Kind)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Nil(t, out)
	}
}

func TestR04_FourNestedLoops(t *testing.T) {
	t.Parallel()
	list := make([]any, 1000)
	for i := range list {
		list[i] = "x"
	}
	data := map[string]any{"l": list}
	for _, source := range []string{
		"[{{#each l}}{{#each ../l}}{{#each ../../l}}{{#each ../../../l}}{{/each}}{{/each}}{{/each}}{{/each}}]",
		"[{{#each l}}{{#each @root.l}}{{#each @root.l}}{{#each @root.l}}1,{{/each}}{{/each}}{{/each}}{{/each}}1]",
	} {
		start := time.Now()
		err := renderErr(t, source, Options{}, data) // it also checks that nothing was appended
		assert.Less(t, time.Since(start), time.Second)
		var e *RenderError
		require.ErrorAs(t, err, &e)
		assert.Contains(t, []Kind{KindSteps, KindSize}, e.Kind)
	}
}

type secretive struct {
	Name   string `json:"name"`
	hidden string
}

func (secretive) Password() string          { return "method" }
func (secretive) SetPassword(string) string { return "method" }

func TestR05_NoGoIsReachable(t *testing.T) {
	t.Parallel()
	data, err := Normalise(map[string]any{"u": secretive{Name: "ada", hidden: "field"}})
	require.NoError(t, err)
	out := render(t, `{{u}}|{{u.name}}|{{u.Name}}|{{u.hidden}}|{{u.Password}}|{{u.SetPassword}}|{{lookup u "Password"}}`, Options{Mode: Text}, data)
	assert.Equal(t, `{"name":"ada"}|ada|||||`, out)
	assert.Equal(t, KindHelper, syntaxError(t, `{{u.SetPassword "x"}}`, Options{}).Kind)
	_, err = Normalise(map[string]any{"f": func() string { return "called" }})
	require.Error(t, err)

	// Even data that nobody normalised gives nothing away: reading a Go value is an error.
	raw := map[string]any{"u": secretive{Name: "ada"}, "f": func() string { return "called" }, "n": 1.5, "s": []string{"a"}}
	for _, source := range []string{"{{u}}", "{{f}}", "{{n}}", "{{s}}", "{{json u}}", "{{upper f}}", "{{@root}}", "{{u.Name}}", "{{u.Password}}", "{{s.[0]}}",
		"{{#if u}}x{{/if}}", "{{#each s}}x{{/each}}", "{{#with u}}{{Name}}{{/with}}", "{{#f}}x{{/f}}", "{{lookup u 'Name'}}", "{{#each @root}}{{this}}{{/each}}"} {
		var e *RenderError
		require.ErrorAs(t, renderErr(t, source, Options{Mode: Text}, raw), &e, source)
		assert.Equal(t, KindData, e.Kind)
	}
	for _, root := range []any{secretive{Name: "ada"}, &secretive{}, map[string]string{"a": "b"}, []string{"a"}, 1.5} {
		var e *RenderError
		require.ErrorAs(t, renderErr(t, "{{a}}", Options{Mode: Text}, root), &e)
		assert.Equal(t, KindData, e.Kind)
	}
}

func TestR07_HelperPanicsAndErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("holds data: s3cret")
	o := Options{Mode: Text, Helpers: map[string]Helper{
		"panic": {Max: -1, Call: func(args []any) (any, error) { panic("s3cret") }},
		"index": {Min: 1, Max: 1, Call: func(args []any) (any, error) { return args[1], nil }},
		"fail":  {Call: func([]any) (any, error) { return "partial", cause }},
		"func":  {Call: func([]any) (any, error) { return func() {}, nil }},
		"bad":   {Call: func([]any) (any, error) { return badMarshaler{}, nil }},
	}}
	for _, c := range []struct {
		source string
		kind   Kind
		is     error
	}{
		{"ab\n {{panic}}", KindPanic, errPanic},
		{"ab\n {{index x}}", KindPanic, errPanic},
		{"ab\n {{fail}}", KindFailed, cause},
		{"ab\n {{upper (fail)}}", KindFailed, cause},
		{"ab\n {{#if (fail)}}{{/if}}", KindFailed, cause},
		{"ab\n {{#each (fail)}}{{/each}}", KindFailed, cause},
		{"ab\n {{func}}", KindFailed, nil},
		{"ab\n {{bad}}", KindFailed, nil},
	} {
		err := renderErr(t, c.source, o, map[string]any{"x": "s3cret"})
		var e *RenderError
		require.ErrorAs(t, err, &e, c.source)
		assert.Equal(t, c.kind, e.Kind, c.source)
		assert.Equal(t, 2, e.Line, c.source)
		if c.is != nil {
			assert.ErrorIs(t, err, c.is)
		}
		assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "s3cret")
	}
}

type badMarshaler struct{}

func (badMarshaler) MarshalJSON() ([]byte, error) { panic("s3cret") }

func TestHelpersOfTheHost(t *testing.T) {
	t.Parallel()
	var got []any
	o := Options{Helpers: map[string]Helper{
		"seen": {Min: 1, Max: -1, Call: func(args []any) (any, error) {
			got = append([]any{}, args...)
			return "<" + fmt.Sprint(len(args)) + `">`, nil
		}},
		"owner": {Call: func([]any) (any, error) { return struct{ Name string }{"ada"}, nil }},
	}}
	data := tree(t, `{"l":["a"],"n":12345678901234567890}`)
	out := render(t, `{"a":"{{seen l n true null "x" @root.l.length (lookup l 0)}}","b":"{{#with (owner)}}{{Name}}{{/with}}","c":"{{owner}}","d":{{owner}} }`, o, data)
	assert.Equal(t, `{"a":"<7\">","b":"ada","c":"{\"Name\":\"ada\"}","d":{"Name":"ada"} }`, out)
	want := tree(t, `[["a"],12345678901234567890,true,null,"x",1,"a"]`)
	assert.Equal(t, want, any(got))

	for _, bad := range []map[string]Helper{
		{"if": {Call: o.Helpers["owner"].Call}}, {"upper": {Call: o.Helpers["owner"].Call}}, {"nil": {}}, {"a b": {Call: o.Helpers["owner"].Call}},
		{"x": {Min: 2, Max: 1, Call: o.Helpers["owner"].Call}}, {"": {Call: o.Helpers["owner"].Call}},
	} {
		_, err := Compile("x", Options{Mode: Text, Helpers: bad})
		var e *OptionsError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "Helpers", e.Field)
	}
}

func TestR08_SameTemplateInManyGoroutines(t *testing.T) {
	t.Parallel()
	source, data := accessRequest(t)
	tpl := compile(t, source, Options{})
	want, err := tpl.Render(context.Background(), nil, data)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			var dst []byte
			for range 20 {
				var err error
				dst, err = tpl.Render(context.Background(), dst[:0], data)
				if !assert.NoError(t, err) || !assert.Equal(t, want, dst) {
					return
				}
			}
			assert.Empty(t, tpl.Lint(data))
		})
	}
	wg.Wait()
}
