package template

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// childEnv holds the number of the fatal case that a child process runs.
const childEnv = "TOCSIN_TEMPLATE_FATAL_CASE"

// fatalCase killed, hung or slowed down the process with raymond's evaluator or parser.
type fatalCase struct {
	name   string
	source func() string
	data   func() any
	refuse bool // Compile must refuse it
}

var noData = func() any { return map[string]any{} }

// scaled shortens what is long only to be as long as the limits allow; the race detector is slow with many tokens.
func scaled(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}

func fatalCases() []fatalCase {
	text := func(s string) func() string { return func() string { return s } }
	cyclic := func() any {
		m := map[string]any{"x": "y"}
		m["a"], m["b"], m["l"] = m, m, []any{m, m}
		return m
	}
	return []fatalCase{
		{"forgotten # in a block", text("{{#if a}}{{if a}}{{/if}}"), noData, true},
		{"block helper in itself", text("{{#each l}}{{each ../l}}{{/each}}"), noData, true},
		{"partial", text("{{> self}}"), noData, true},
		{"@this", text("{{@this}}"), noData, true},
		{"two arguments for if", text("{{#if a b}}x{{/if}}"), noData, true},
		{"lookup of a negative index", text(`"{{lookup l "-1"}}{{lookup s "-1"}}"`), func() any {
			return map[string]any{"l": []any{"x"}, "s": "x"}
		}, false},
		{"1.2 million nested blocks", func() string { return strings.Repeat("{{#a}}", 1_200_000) }, noData, true},
		{"nested blocks up to the size limit", func() string { return strings.Repeat("{{#a}}", 40_000) }, noData, true},
		{"a long chain of else if", func() string { return "{{#if a}}" + strings.Repeat("{{else if a}}", 18_000) + "{{/if}}" }, noData, true},
		{"nested subexpressions", func() string { return "{{upper " + strings.Repeat("(upper ", 30_000) }, noData, true},
		{"20,000 blanks in a comment", func() string { return "{{! " + strings.Repeat(" ", 20_000) + "x }}" }, noData, true},
		{"a comment full of blanks", func() string { return `"{{! ` + strings.Repeat(strings.Repeat(" ", 255)+"x", 1000) + `}}"` }, noData, false},
		{"blanks everywhere in a mustache", func() string { return `"{{x` + strings.Repeat("\r ", 120_000) + `}}"` }, noData, false},
		{"as many mustaches as fit", func() string { return "[" + strings.Repeat("{{a}},", scaled(43_000)) + "0]" }, noData, false},
		{"as many blocks as fit", func() string { return strings.Repeat("{{#a}}{{/a}}\n", scaled(20_000)) }, noData, false},
		{"as many comments as fit", func() string { return "0" + strings.Repeat(" {{!-- -- --}}\n", scaled(17_000)) }, noData, false},
		{"as many escapes as fit", func() string { return "\"" + strings.Repeat("\\\\\\{{a}}", scaled(30_000)) + "\"" }, noData, false},
		{"braces", func() string { return strings.Repeat("{", 250_000) }, noData, true},
		{"one long string", func() string { return "{{a '" + strings.Repeat("\\'", 120_000) }, noData, true},
		{"cyclic data in a loop", text(`[{{#each l}}{{#each l}}{{#each l}}{{#each l}}{{@index}},{{/each}}{{/each}}{{/each}}{{/each}}0]`), cyclic, false},
		{"cyclic data printed", text(`{"a": {{a}}, "b": "{{l}}"}`), cyclic, false},
		{"cyclic data in helpers", text(`"{{join l}}{{json a}}{{upper b}}"`), cyclic, false},
	}
}

// TestR01_InChildProcess is what the child processes of TestR01_FatalCases run: one case, which must end.
func TestR01_InChildProcess(t *testing.T) {
	number := os.Getenv(childEnv)
	if number == "" {
		return // it works in the child processes of TestR01_FatalCases only
	}
	i, err := strconv.Atoi(number)
	require.NoError(t, err)
	c := fatalCases()[i]
	tpl, err := Compile(c.source(), Options{})
	require.Equal(t, c.refuse, err != nil, "%v", err)
	if err == nil {
		data := c.data()
		_, err = tpl.Render(t.Context(), nil, data)
		var notJSON *JSONError
		var render *RenderError
		require.True(t, err == nil || errors.As(err, &notJSON) || errors.As(err, &render), "%v", err)
		tpl.Lint(data)
		tpl.Trial(t.Context(), data)
	}
	t.Log("done") // TestMain looks for goroutines left behind
}

// TestR01_FatalCases runs each case in a process of its own: no crash, no hang, no goroutine left behind.
func TestR01_FatalCases(t *testing.T) {
	t.Parallel()
	for i, c := range fatalCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestR01_InChildProcess$", "-test.v")
			child.Env = append(os.Environ(), childEnv+"="+strconv.Itoa(i))
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%.2000s", out)
			assert.Contains(t, string(out), "done")
		})
	}
}

// TestR01_FailedCompilesLeaveNoGoroutine repeats every kind of compile error; raymond's parser leaks one each time.
func TestR01_FailedCompilesLeaveNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 200 {
		for _, source := range []string{"{{", "{{a", "{{#a}}", "{{/a}}", "{{#a}}{{/b}}", "{{a}}}", "{{'a}}", "{{! a", "{{a!}}", "{{+1}}",
			"{{#if}}{{/if}}", "{{x 1e999}}", "{{l.0}}", "{{(a)}}", "{{#a as ||}}{{/a}}", "{{#a as |b}}{{/a}}", "{{a b=}}"} {
			_, err := Compile(source, Options{Mode: Text})
			require.Error(t, err, source)
		}
	}
	for i := 0; runtime.NumGoroutine() > before; i++ {
		require.Less(t, i, 1_000_000, "%d goroutines are left", runtime.NumGoroutine()-before)
		runtime.Gosched()
	}
}
