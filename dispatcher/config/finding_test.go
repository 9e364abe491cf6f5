package config_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

func found(set *config.Set) string {
	var all strings.Builder
	for _, f := range set.Findings(context.Background()) {
		all.WriteString(f.String() + "\n")
	}
	return all.String()
}

// What loads and is probably a mistake is found, with its place in the document and in the template. They are in a
// golden file, to be read.
func TestFindings(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/findings/findings.yaml")
	require.NoError(t, err)
	set := load(t, "findings.yaml", string(src), config.Options{})
	golden(t, "testdata/findings/findings.golden", []byte(found(set)))
	for _, f := range set.Findings(t.Context()) {
		assert.Equal(t, "findings.yaml", f.File)
		assert.Positive(t, f.Line)
		assert.NotEmpty(t, f.Path)
		assert.NotEmpty(t, f.Message)
		assert.Contains(t, []config.Severity{config.Warning, config.Failing}, f.Severity)
		assert.NotContains(t, f.String(), "not-a-real")
	}
}

// The documents that are right have none.
func TestTheFiveDocumentsHaveNoFindings(t *testing.T) {
	environment(t)
	for name, src := range styles(t) {
		assert.Empty(t, found(load(t, name, src, trusted())), name)
	}
}

// Templates for the host's own types are judged by the host's examples, and not at all without.
func TestFindingsOfTheHostsTypes(t *testing.T) {
	t.Parallel()
	src := hook("body: {kind: template, template: '\"{{data.nubmer}}\"'}", "events: [ticket.closed]")
	o := config.Options{EventTypes: []event.Type{"ticket.closed"}}
	assert.Empty(t, found(load(t, "a.yaml", src, o)))
	o.Samples = []event.Event{event.Must(closed{Number: 7}, event.Meta{})}
	assert.Contains(t, found(load(t, "a.yaml", src, o)), "did you mean number?")
}

// closed is a payload of a host's.
type closed struct {
	Number int `json:"number"`
}

func (closed) EventType() event.Type { return "ticket.closed" }

// What an event may have besides its data is no mistake, although no example has it.
func TestFindingsKnowTheEnvelope(t *testing.T) {
	t.Parallel()
	src := func(body string) string {
		return hook("body: {kind: template, template: '"+body+"'}", "")
	}
	all := `"{{#if test}}TEST {{/if}}{{tenant}} {{subject}} {{source}} {{attributes.custom}} {{#each shortened}}{{this}}{{/each}}"`
	assert.Empty(t, found(load(t, "a.yaml", src(all), config.Options{})))
	assert.Contains(t, found(load(t, "a.yaml", src(`"{{tset}}"`), config.Options{})), "did you mean test?")
}

// There are only so many, and none after the context's end.
func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	set := load(t, "a.yaml", hook("body: {kind: template, template: '\""+strings.Repeat("{{data.nothing}}", 1000)+"\"'}", ""), config.Options{})
	assert.Len(t, set.Findings(t.Context()), 100)
	var src strings.Builder
	src.WriteString("channels:\n")
	for i := range 300 {
		fmt.Fprintf(&src, "  - {type: webhook, name: c%d, url: 'https://x.example.com/', body: {kind: template, template: '\"{{id}}\"'}}\n", i)
	}
	all := load(t, "a.yaml", src.String(), config.Options{}).Findings(t.Context())
	require.Len(t, all, 1)
	assert.Equal(t, "channels[200].body.template", all[0].Path)
	assert.Contains(t, all[0].Message, "were not looked at")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Empty(t, set.Findings(done))
}
