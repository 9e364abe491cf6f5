package template

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// corpusCase is one case of testdata/corpus, see the README there.
type corpusCase struct {
	ID        int             `json:"id"`
	Construct string          `json:"construct"`
	Template  string          `json:"template"`
	Data      json.RawMessage `json:"data"`
	Output    string          `json:"output"`
	Error     bool            `json:"error"`
}

// handlebarsOptions are the options under which the output is comparable with handlebars.js.
var handlebarsOptions = Options{Mode: HTML, AllowRaw: true}

func agrees(t *testing.T, c corpusCase) (string, bool) {
	tpl, err := Compile(c.Template, handlebarsOptions)
	var out []byte
	if err == nil {
		out, err = tpl.Render(context.Background(), nil, tree(t, string(c.Data)))
	}
	if c.Error || err != nil {
		message := string(out)
		if err != nil {
			message = "error: " + err.Error()
		}
		return message, c.Error == (err != nil)
	}
	return string(out), string(out) == c.Output
}

// TestR25_Corpus compares with handlebars.js on frozen random templates. Every difference must be listed with its rule.
func TestR25_Corpus(t *testing.T) {
	t.Parallel()
	var cases []corpusCase
	require.NoError(t, json.Unmarshal([]byte(file(t, "corpus/handlebars.json")), &cases))
	var differences map[string][]int
	require.NoError(t, json.Unmarshal([]byte(file(t, "corpus/differences.json")), &differences))
	rules := map[int]string{}
	for rule, ids := range differences {
		require.Contains(t, []string{"object-text", "key-order", "number-sum"}, rule)
		for _, id := range ids {
			rules[id] = rule
		}
	}
	require.GreaterOrEqual(t, len(cases), 2000)
	agreed := 0
	for _, c := range cases {
		got, ok := agrees(t, c)
		if ok {
			agreed++
			assert.Empty(t, rules[c.ID], "case %d is listed as different but agrees", c.ID)
			continue
		}
		assert.NotEmpty(t, rules[c.ID], "case %d (%s) differs:\ntemplate %q\ndata %s\nwant %q (error %v)\ngot  %q",
			c.ID, c.Construct, c.Template, c.Data, c.Output, c.Error, got)
	}
	share := float64(agreed) / float64(len(cases))
	t.Logf("%d of %d cases agree (%.2f %%), %d listed differences", agreed, len(cases), 100*share, len(rules))
	assert.GreaterOrEqual(t, share, 0.97)
}

// TestR23_Levels compares what ../ and @../ count with handlebars.js. The cases have no difference on purpose in them.
func TestR23_Levels(t *testing.T) {
	t.Parallel()
	var cases []corpusCase
	require.NoError(t, json.Unmarshal([]byte(file(t, "corpus/levels.json")), &cases))
	require.GreaterOrEqual(t, len(cases), 600)
	for _, c := range cases {
		got, ok := agrees(t, c)
		assert.True(t, ok, "case %d: %q with %s\nwant %q\ngot  %q", c.ID, c.Template, c.Data, c.Output, got)
	}
	// The documented differences: a null element stays null in the blocks within it, and a list equals no scalar.
	o := Options{Mode: Text}
	assert.Equal(t, "no", render(t, "{{#each l}}{{#if @first}}{{#if this}}yes{{else}}no{{/if}}{{/if}}{{/each}}", o, tree(t, `{"l":[null]}`)))
	assert.Equal(t, "2", render(t, "{{#with n}}{{#each ../l}}{{../this}}{{/each}}{{/with}}", o, tree(t, `{"l":[[2]],"n":2}`)))
}

// TestR23_CorpusCoversConstructs makes sure that every scoping rule has enough cases.
func TestR23_CorpusCoversConstructs(t *testing.T) {
	t.Parallel()
	var cases []corpusCase
	require.NoError(t, json.Unmarshal([]byte(file(t, "corpus/handlebars.json")), &cases))
	count := map[string]int{}
	for _, c := range cases {
		count[c.Construct]++
	}
	for _, construct := range []string{
		"no implicit parent", "parent", "root", "block parameters", "null element", "empty object", "falsy", "else of if",
		"else of unless", "else of each", "else of with", "else of section", "else of inverse", "else if", "length",
		"carriage return",
	} {
		assert.GreaterOrEqual(t, count[construct], 50, construct)
	}
}
