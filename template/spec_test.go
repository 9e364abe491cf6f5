package template

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type specCase struct {
	Name     string          `json:"name"`
	Template string          `json:"template"`
	Data     json.RawMessage `json:"data"`
	Expected string          `json:"expected"` // Mustache's word for it
	Output   string          `json:"output"`   // ours
}

// TestR24_Mustache runs the data-only modules of the Mustache specification.
func TestR24_Mustache(t *testing.T) {
	t.Parallel()
	exceptions := map[string]string{
		"sections/Deeply Nested Contexts": "1\n1\n", // no implicit parent lookup
	}
	total := 0
	for _, module := range []string{"comments", "interpolation", "inverted", "sections"} {
		var spec struct{ Tests []specCase }
		require.NoError(t, json.Unmarshal([]byte(file(t, "mustache/"+module+".json")), &spec))
		for _, c := range spec.Tests {
			total++
			want := c.Expected
			if w, ok := exceptions[module+"/"+c.Name]; ok {
				require.NotEqual(t, want, w)
				want = w
			}
			got := render(t, c.Template, handlebarsOptions, tree(t, string(c.Data)))
			assert.Equal(t, want, got, "%s/%s: %q with %s", module, c.Name, c.Template, c.Data)
		}
	}
	require.GreaterOrEqual(t, total, 70)
}

// TestR24_HandlebarsJS runs handlebars.js's own data-only cases.
func TestR24_HandlebarsJS(t *testing.T) {
	t.Parallel()
	var cases []specCase
	require.NoError(t, json.Unmarshal([]byte(file(t, "handlebarsjs/cases.json")), &cases))
	require.GreaterOrEqual(t, len(cases), 140)
	for _, c := range cases {
		tpl, err := Compile(c.Template, handlebarsOptions)
		if assert.NoError(t, err, "%s: %q", c.Name, c.Template) {
			got, err := tpl.Render(context.Background(), nil, tree(t, string(c.Data)))
			assert.NoError(t, err, c.Name)
			assert.Equal(t, c.Output, string(got), "%s: %q with %s", c.Name, c.Template, c.Data)
		}
	}
}
