package oracletest

import (
	"context"
	"testing"

	"github.com/aymerick/raymond"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/template"
)

// TestAgreesWithRaymond renders ordinary templates with raymond's own evaluator: where it is sound, both agree.
func TestAgreesWithRaymond(t *testing.T) {
	t.Parallel()
	data := map[string]any{
		"name": "Ada <b> & \"co\"", "yes": true, "no": false, "empty": []any{}, "text": "x",
		"list":   []any{map[string]any{"id": "1", "tags": []any{"a", "b"}}, map[string]any{"id": "2", "tags": []any{}}},
		"person": map[string]any{"name": "Grace", "mail": map[string]any{"home": "g@example.com"}},
	}
	for _, source := range []string{
		"Hello {{name}}, {{{name}}} and {{&text}}.",
		"{{person.name}} {{person.mail.home}} {{person/name}} {{this.text}} {{./text}}",
		"{{#if yes}}a{{else}}b{{/if}}{{#if no}}a{{else}}b{{/if}}{{#unless no}}c{{/unless}}{{#if empty}}d{{else}}e{{/if}}",
		"{{#each list}}{{@index}}:{{id}}{{#each tags}}[{{this}}{{../id}}{{@root.text}}]{{else}}none{{/each}}{{#unless @last}};{{/unless}}{{/each}}",
		"{{#with person}}{{name}} {{mail.home}} {{../text}}{{/with}}",
		"{{#list}}{{id}}{{/list}}{{^empty}}nothing{{/empty}}{{#person}}{{name}}{{/person}}",
		"{{#each list as |item i|}}{{i}}{{item.id}}{{/each}}{{#each person.mail}}{{@key}}={{this}}{{/each}}",
		"a\n{{#if yes}}\n  b\n{{else}}\n  c\n{{/if}}\nd {{~text~}} e {{! note }}f\n{{!-- {{x}} --}}\ng \\{{text}} \\\\{{text}}",
		"{{lookup person \"name\"}}{{#if yes}}1{{else if no}}2{{else}}3{{/if}}{{#if no}}1{{else if yes}}2{{else}}3{{/if}}",
	} {
		want, err := raymond.Render(source, data)
		require.NoError(t, err, source)
		tpl, err := template.Compile(source, template.Options{Mode: template.HTML, AllowRaw: true})
		require.NoError(t, err, source)
		got, err := tpl.Render(context.Background(), nil, data)
		require.NoError(t, err, source)
		assert.Equal(t, want, string(got), source)
	}
}
