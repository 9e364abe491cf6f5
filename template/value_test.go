package template

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type identity struct {
	ID string `json:"id"`
}

type record struct {
	identity
	*Extra
	Name     string            `json:"name"`
	Empty    string            `json:"empty,omitempty"`
	Skipped  string            `json:"-"`
	Untagged int               // its own name
	When     time.Time         `json:"when"`
	Big      int64             `json:"big"`
	Exact    json.Number       `json:"exact"`
	Raw      []byte            `json:"raw"`
	Custom   custom            `json:"custom"`
	Nil      *record           `json:"nil"`
	Map      map[int]string    `json:"map"`
	List     []identity        `json:"list"`
	NilList  []string          `json:"nil_list"`
	Labels   map[string]string `json:"labels"`
	hidden   string
}

// Extra is embedded by pointer.
type Extra struct {
	Level uint8 `json:"level"`
}

type custom struct{ V int }

func (c custom) MarshalJSON() ([]byte, error) { return json.Marshal([]int{c.V, c.V}) }

func TestR06_Normalise(t *testing.T) {
	t.Parallel()
	got, err := Normalise(&record{
		identity: identity{"b-1"}, Extra: &Extra{7}, Name: "a\xff<b>", Skipped: "x", Untagged: 3, hidden: "x",
		When: time.Date(2024, 2, 3, 4, 5, 6, 7, time.UTC), Big: math.MaxInt64, Exact: "1696263265.851898000",
		Raw: []byte("hi"), Custom: custom{2}, Map: map[int]string{2: "two"}, List: []identity{{"l"}},
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"id": "b-1", "level": json.Number("7"), "name": "a\uFFFD<b>", "Untagged": json.Number("3"),
		"when": "2024-02-03T04:05:06.000000007Z", "big": json.Number("9223372036854775807"),
		"exact": json.Number("1696263265.851898000"), "raw": "aGk=", "custom": []any{json.Number("2"), json.Number("2")},
		"nil": nil, "map": map[string]any{"2": "two"}, "list": []any{map[string]any{"id": "l"}}, "nil_list": nil, "labels": nil,
	}, got)

	for _, v := range []any{nil, true, "x"} {
		got, err := Normalise(v)
		require.NoError(t, err)
		assert.Equal(t, v, got)
	}
}

func nest(levels int) any {
	var v any = "leaf"
	for i := range levels {
		if i%2 == 0 {
			v = []any{v}
		} else {
			v = map[string]any{"k": v}
		}
	}
	return v
}

func TestR06_NormaliseRefuses(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["self"] = cycle
	pointer := &record{}
	pointer.Nil = pointer
	list := []any{nil}
	list[0] = list
	for name, v := range map[string]any{
		"cycle in a map": cycle, "cycle of pointers": pointer, "cycle in a list": list, "65 levels": nest(65),
		"func": func() {}, "chan": make(chan int), "complex": complex(1, 2), "NaN": math.NaN(), "Inf": []float64{math.Inf(1)},
		"bad number": json.Number("1,2"), "panic": badMarshaler{}, "secret": failing{},
	} {
		_, err := Normalise(v)
		var e *DataError
		require.ErrorAs(t, err, &e, name)
		assert.NotContains(t, err.Error(), "s3cret", name)
	}
	_, err := Normalise(failing{})
	assert.ErrorIs(t, err, errMarshal)
	_, err = Normalise(nest(64))
	require.NoError(t, err)
	deep := nest(100_000)
	_, err = Normalise(deep)
	require.Error(t, err)
}

var errMarshal = errors.New("s3cret")

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// TestR06_NormalisedDataIsAcceptedAsItIs: a shared tree is not copied by Render, nor changed.
func TestR06_NormalisedDataIsAcceptedAsItIs(t *testing.T) {
	t.Parallel()
	source, data := accessRequest(t)
	before, err := json.Marshal(data)
	require.NoError(t, err)
	again, err := Normalise(data)
	require.NoError(t, err)
	assert.Equal(t, data, again)
	tpl := compile(t, source, Options{})
	tpl.Trial(t.Context(), data)
	tpl.Lint(data)
	render(t, source, Options{}, data)
	after, err := json.Marshal(data)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
	assert.Equal(t, 1, strings.Count(string(after), "1696263265.851898000")-1)
}
