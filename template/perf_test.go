package template

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestR31_NoAllocations: rendering the access-request body into a reused buffer allocates nothing.
func TestR31_NoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop machines")
	}
	source, data := accessRequest(t)
	tpl := compile(t, source, Options{})
	out := render(t, source, Options{}, data)
	assert.InDelta(t, 574, len(out), 120)
	var dst []byte
	allocs := testing.AllocsPerRun(1000, func() {
		var err error
		if dst, err = tpl.Render(context.Background(), dst[:0], data); err != nil {
			t.Error(err)
		}
	})
	assert.Zero(t, allocs)
}

// TestR33_StepsAreLinear: a loop costs a fixed number of steps for each item, and 40,000 items fit the default limits.
func TestR33_StepsAreLinear(t *testing.T) {
	t.Parallel()
	const source = `[{{#each items}}"{{this}}"{{#unless @last}},{{/unless}}{{/each}}]`
	items := make([]any, 40_000)
	for i := range items {
		items[i] = strconv.Itoa(i)
	}
	render(t, source, Options{}, map[string]any{"items": items})
	for _, n := range []int{100, 1000, 10_000} {
		data := map[string]any{"items": items[:n]}
		render(t, source, Options{Limits: Limits{Steps: 6*n + 5}}, data)
	}
}

func BenchmarkNormalise(b *testing.B) {
	event := json.RawMessage(file(b, "access-request.json"))
	b.ReportAllocs()
	for b.Loop() {
		_, err := Normalise(event)
		require.NoError(b, err)
	}
}

func BenchmarkCompile(b *testing.B) {
	source, _ := accessRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		compile(b, source, Options{})
	}
}
