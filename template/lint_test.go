package template

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestR29_Paths(t *testing.T) {
	t.Parallel()
	tpl := compile(t, "{{a.b}}\n{{#each data.groups as |g i|}}{{name}}{{../x}}{{g.id}}{{i}}{{@index}}{{@root.r}}"+
		"{{#each units}}{{this}}{{../../x}}{{/each}}{{else}}{{y}}{{/each}}{{#with o}}{{#if k}}{{upper (lookup m n)}}{{/if}}{{/with}}{{#s}}{{t.[0].u}}{{../v}}{{/s}}", Options{Mode: Text})
	type row struct{ written, full string }
	var got []row
	for _, p := range tpl.Paths() {
		got = append(got, row{p.Written, p.Full})
	}
	assert.Equal(t, []row{
		{"a.b", "a.b"}, {"data.groups", "data.groups"}, {"name", "data.groups[].name"}, {"../x", "x"}, {"g.id", "data.groups[].id"}, {"@root.r", "r"},
		{"units", "data.groups[].units"}, {"this", "data.groups[].units[]"}, {"../../x", "x"}, {"y", "y"}, {"o", "o"}, {"k", "o.k"}, {"m", "o.m"}, {"n", "o.n"},
		{"s", "s"}, {"t.[0].u", "s.t.0.u"}, {"../v", "v"},
	}, got)
	assert.Equal(t, [2]int{2, 33}, [2]int{tpl.Paths()[2].Line, tpl.Paths()[2].Column})

	macros := compile(t, "%%User%% and %%RequestId%%", Options{Mode: Text, Syntax: Macros, Macros: ApplicationMacros()}).Paths()
	assert.Equal(t, "%%RequestId%%", macros[1].Written)
	assert.Equal(t, "data.request_id", macros[1].Full)
	assert.Equal(t, 14, macros[1].Column)
}

func TestR29_Lint(t *testing.T) {
	t.Parallel()
	_, event := accessRequest(t)
	for _, c := range []struct {
		source       string
		kind         Kind
		line, column int
		hint         string
	}{
		{"\n {{data.requestr.name}}", KindPath, 2, 4, "did you mean requester?"},
		{"{{data.requester.mail}}", KindPath, 1, 3, "did you mean email?"},
		{"{{data.friendlyId}}", KindPath, 1, 3, "did you mean friendly_id?"},
		{"{{data.access_groups.integration.name}}", KindList, 1, 3, "it is a list: use {{#each data.access_groups}}"},
		{"{{#each data.access_groups}}{{access_units.resource.name}}{{/each}}", KindList, 1, 31, "it is a list: use {{#each access_units}}"},
		{"{{data.approvals}}", KindList, 1, 3, "it is a list: use {{#each data.approvals}}"},
		{"{{data.justification.text}}", KindValue, 1, 3, ""},
		{"{{requester.name}}", KindPath, 1, 3, "did you mean data.requester.name?"},
		{"{{#each data.access_groups}}{{event_type}}{{/each}}", KindPath, 1, 31, "did you mean @root.event_type?"},
		{"{{#with data}}{{#each approvals}}{{friendly_id}}{{/each}}{{/with}}", KindPath, 1, 36, "did you mean ../friendly_id?"},
		{"{{#each data.access_groups}}{{data.id}}{{/each}}", KindPath, 1, 31, "did you mean @root.data.id?"},
		{"{{#each data.approvals}}{{approver.nme}}{{/each}}", KindPath, 1, 27, "did you mean name?"},
		{"{{#if data.justificaton}}x{{/if}}", KindPath, 1, 7, "did you mean justification?"},
		{"{{upper (lookup data.requster 'name')}}", KindPath, 1, 17, "did you mean requester?"},
		{"{{#each data.approvals as |a|}}{{a.statu}}{{/each}}", KindPath, 1, 34, "did you mean status?"},
		{"{{#each data.id}}x{{/each}}", KindValue, 1, 9, "use {{#if data.id}}, or {{data.id}}"},
		{"{{data.requester}}", KindPrint, 1, 3, "name one of its fields, for example data.requester.email"},
		{"{{../event_type}}", KindScope, 1, 3, "@root is the outermost context"},
		{"{{@index}}", KindScope, 1, 3, ""},
		{"{{#with data}}{{@key}}{{/with}}", KindScope, 1, 17, ""},
		{"{{#if data}}{{../event_type}}{{/if}}", KindScope, 1, 15, "@root is the outermost context"},
	} {
		found := compile(t, c.source, Options{Mode: Text}).Lint(event)
		if !assert.Len(t, found, 1, c.source) {
			continue
		}
		f := found[0]
		assert.Equal(t, c.kind, f.Kind, "%q: %v", c.source, f)
		assert.Equal(t, [2]int{c.line, c.column}, [2]int{f.Line, f.Column}, "%q: %v", c.source, f)
		assert.Equal(t, c.hint, f.Hint, "%q: %v", c.source, f)
		assert.Contains(t, f.String(), f.Message)
	}
	macros := compile(t, "%%User%%", Options{Mode: Text, Syntax: Macros, Macros: ApplicationMacros()})
	assert.Equal(t, "%%User%%", macros.Lint(event)[0].Path)
}

// TestR29_NoFalseAlarms: correct templates over the access-request event are clean.
func TestR29_NoFalseAlarms(t *testing.T) {
	t.Parallel()
	source, event := accessRequest(t)
	assert.Empty(t, compile(t, source, Options{}).Lint(event))
	assert.Empty(t, compile(t, source, Options{}).Trial(t.Context(), event))
	for _, source := range []string{
		"{{#each data.access_groups}}{{integration.name}}{{#each access_units}}{{resource.type.display_path}} {{permission.name}}{{@index}}{{@../first}}{{../integration.id}}{{../../tenant}}{{/each}}" +
			"{{#each resource_types}}{{id}}{{name}}{{display_path}}{{/each}}{{/each}}",
		"{{#each data.approvals as |a i|}}{{i}}{{a.approver.email}}{{#with approver}}{{name}}{{../status}}{{@index}}{{/with}}{{/each}}",
		"{{#data.approvals}}{{name}}{{@last}}{{/data.approvals}}{{#data.requester}}{{email}}{{/data.requester}}{{#data}}{{#id}}{{this}}{{../friendly_id}}{{/id}}{{/data}}",
		"{{data.approvals.length}}{{data.id.length}}{{data.approvals.[0].name}}{{#if data.access_bundle}}{{data.access_bundle.name}}{{/if}}",
		"{{#each data.requester}}{{@key}}={{this}}{{/each}}{{#each attributes}}{{@key}}{{this}}{{/each}}{{json data}}{{date data.creation_date}}{{join data.approvals}}",
		"{{#with (lookup data 'requester')}}{{anything.at.all}}{{/with}}{{#equal event_type 'request.pending'}}{{data.grantee.source_id}}{{/equal}}",
	} {
		assert.Empty(t, compile(t, source, Options{Mode: Text}).Lint(event), source)
	}
	scalars := tree(t, `{"n":1,"s":"x","t":true,"o":{"a":1}}`)
	assert.Empty(t, compile(t, "{{#n}}{{this}}{{../s}}{{/n}}{{#s}}{{.}}{{../n}}{{/s}}{{#t}}{{n}}{{#with o}}{{a}}{{../s}}{{/with}}{{/t}}", Options{Mode: Text}).Lint(scalars))
	assert.Equal(t, "x 1", render(t, "{{#n}}{{../s}}{{/n}}{{#t}} {{n}}{{/t}}", Options{Mode: Text}, scalars))
	assert.Empty(t, compile(t, `{"all":{{data}},"list":{{data.approvals}},"n":{{data.none}} }`, Options{}).Lint(tree(t, `{"data":{"approvals":[],"none":null}}`)))
	found := compile(t, "{{x}}", Options{Mode: Text}).Lint(func() {})
	assert.Equal(t, KindData, found[0].Kind)
}

func TestR30_Trial(t *testing.T) {
	t.Parallel()
	_, event := accessRequest(t)
	for _, c := range []struct{ source, message string }{
		{`[{{#each data.approvals}}"{{name}}",{{/each}}1]`, ""},
		{`[{{#each data.approvals}}"{{name}}",{{/each}}]`, "a comma is not followed by anything"},
		{`[{{#each data.access_groups}}"{{integration.name}}"{{/each}}]`, "two elements long: a comma is missing"},
		{`[1{{#each data.approvals}},"{{name}}"{{/each}}]`, ""},
		{`[1,{{#each data.approvals}}"{{name}}"{{#unless @last}},{{/unless}}{{/each}}]`, "is empty: a comma is not followed by anything"},
		{`[{{#each data.access_groups}}{{#each access_units}}"{{resource.name}}"{{#unless @last}},{{/unless}}{{/each}}{{#unless @last}},{{/unless}}{{/each}}]`, "empty"},
		{`{"a":1{{#if data.access_bundle}},"b":2{{/if}} }`, ""},
		{`{"a":1,{{#if data.access_bundle}}"b":2{{/if}} }`, "when data.access_bundle is absent: a comma is not followed by anything"},
		{`{ {{#if data.access_bundle}}"b":2{{/if}}{{#if data.justification}},"c":3{{/if}} }`, "when data.access_bundle is absent: two commas follow each other, or one comes first"},
		{`{ {{#if data.missing}}"b":2,{{/if}} }`, "when data.missing is true: a comma is not followed by anything"},
		{`{ {{#equal data.approvals_logical_relation "AllOf"}}"b":2,{{/equal}} }`, "when data.approvals_logical_relation equals what it is compared with: a comma is not followed by anything"},
		{`{"n":{{data.creation_date}},"x":{{#if data.id}}1{{/if}} }`, "when data.id is absent: a value is missing after the colon"},
		{`[{{#data.approvals}}1,{{/data.approvals}}]`, "a comma is not followed by anything"},
		{`{ {{data.id}}: 1 }`, "when data.id is absent: a field name is missing here"},
	} {
		found := compile(t, c.source, Options{}).Trial(t.Context(), event)
		if c.message == "" {
			assert.Empty(t, found, c.source)
			continue
		}
		if assert.NotEmpty(t, found, c.source) {
			assert.Contains(t, found[0].Message, c.message, c.source)
			assert.Equal(t, KindOutput, found[0].Kind)
			assert.Equal(t, 1, found[0].Line)
			assert.Positive(t, found[0].Column)
		}
	}
	found := compile(t, "https://h/{{x}}", Options{Mode: URL}).Trial(t.Context(), tree(t, `{"x":".."}`))
	assert.Equal(t, KindSegment, found[0].Kind)
	assert.Equal(t, KindData, compile(t, "{{x}}", Options{Mode: Text}).Trial(t.Context(), func() {})[0].Kind)
}

// TestHTMLInJSON: the HTML of a mail that a JSON body carries is a language of its own, for which nothing escapes by
// itself.
func TestHTMLInJSON(t *testing.T) {
	t.Parallel()
	example := tree(t, `{"x":"y","n":1,"l":["a"],"link":"https://h/"}`)
	for source, hint := range map[string]string{
		`{"value": "<p>{{x}}</p>"}`:                                    "write {{html x}}",
		`{"value": "<br/>by {{x}}"}`:                                   "write {{html x}}",
		`{"value": "{{#if x}}<b class='a'>{{upper x}}</b>{{/if}}"}`:    "put the helper html around it",
		`{"value": "<p>{{#each l}}{{this}}{{/each}}</p>"}`:             "write {{html this}}",
		`{"value": "<p>{{html x}} {{n}} {{date x}}</p>"}`:              "",
		`{"value": "<p>", "text": "{{x}}"}`:                            "",
		`{"text": "<https://h/{{x}}|open> <!here> a < b {{x}} <@U1>"}`: "",
		`{"value": {{x}}, "p": "<p>"}`:                                 "",
	} {
		found := compile(t, source, Options{}).Lint(example)
		if hint == "" {
			assert.Empty(t, found, source)
			continue
		}
		if assert.Len(t, found, 1, source) {
			assert.Equal(t, KindMarkup, found[0].Kind)
			assert.Equal(t, hint, found[0].Hint, source)
		}
	}
	o := Options{Syntax: Macros, Macros: map[string]string{"X": "x", "Y": "html x"}}
	found := compile(t, `{"value": "<p>%%Y%% %%X%%</p>"}`, o).Lint(example)
	if assert.Len(t, found, 1) {
		assert.Equal(t, "let the macro stand for: html x", found[0].Hint)
		assert.Equal(t, 21, found[0].Column)
	}
	assert.Equal(t, `{"value": "<p>&lt;b&gt; \u003c"}`, render(t, `{"value": "<p>{{html x}} \u003c"}`, Options{}, map[string]any{"x": "<b>"}))
	assert.Equal(t, KindUnsupported, syntaxError(t, "{{html x}}", Options{Mode: HTML}).Kind)
}

// TestTrialFindsEmptyTexts: a text without content is refused by those who show it.
func TestTrialFindsEmptyTexts(t *testing.T) {
	t.Parallel()
	example := tree(t, `{"x":"y","l":["a"]}`)
	for source, when := range map[string]string{
		"{{x}}": "when x is absent", " {{#each l}}{{this}}{{/each}}\n": "when l is empty", "{{#if none}}a{{/if}}": "", "{{#if x}}a{{/if}}": "when x is absent",
		"a{{x}}": "-", "{{default x 'none'}}": "-", "": "-", "{{x}}{{l}}": "-",
	} {
		for _, mode := range []Mode{Text, Slack} {
			found := compile(t, source, Options{Mode: mode}).Trial(t.Context(), example)
			if when == "-" {
				assert.Empty(t, found, source)
				continue
			}
			if assert.Len(t, found, 1, source) {
				assert.Equal(t, KindEmpty, found[0].Kind)
				assert.Contains(t, found[0].Message, when)
				assert.NotEmpty(t, found[0].Hint)
			}
		}
		assert.Empty(t, compile(t, source, Options{Mode: Header}).Trial(t.Context(), example), source)
	}
}
