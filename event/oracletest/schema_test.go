package oracletest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compile checks the schema of a type against the meta-schema it names and returns it in both forms.
func compile(t *testing.T, typ event.Type) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	b, ok := event.Schema(typ)
	require.True(t, ok, typ)
	doc := decode(t, b)
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // nothing may be fetched
	require.NoError(t, c.AddResource("mem:///schema.json", doc))
	s, err := c.Compile("mem:///schema.json")
	require.NoError(t, err, typ)
	assert.Equal(t, 2020, s.DraftVersion)
	return s, doc.(map[string]any)
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return v
}

func TestSamplesValidate(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		s, _ := compile(t, typ)
		e, _ := event.Sample(typ)
		require.NoError(t, s.Validate(decode(t, e.JSON())), typ)

		for _, other := range event.Catalogue() {
			e, _ := event.Sample(other)
			if err := s.Validate(decode(t, e.JSON())); other != typ {
				assert.Error(t, err, "%s is not %s", other, typ)
			}
		}
	}
}

// TestLimitsValidate checks that the schema takes what New takes: full and empty envelopes, the first and last
// instants.
func TestLimitsValidate(t *testing.T) {
	t.Parallel()
	attributes := make(map[string]string)
	for i := range 63 {
		attributes[fmt.Sprintf("a.%d", i)] = ""
	}
	attributes[strings.Repeat("N", 64)] = strings.Repeat("é", 512)
	metas := []event.Meta{
		{},
		{
			ID: strings.Repeat("x", 100), Tenant: strings.Repeat("t", 255), Source: strings.Repeat("é", 127),
			Subject: "s", Attributes: attributes,
		},
		{Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
		{Time: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
	}
	payloads := []event.Payload{
		event.RequestPending{}, event.GrantFailed{}, event.SessionStarted{}, event.ApplicationAccessRequested{},
		event.ChannelFailing{}, event.DeliveryDead{},
		event.AlertOpened{Alert: event.Alert{Priority: event.PriorityLow, Status: event.AlertStatusOpen}},
	}
	for _, p := range payloads {
		s, _ := compile(t, p.EventType())
		for _, m := range metas {
			e, err := event.New(p, m)
			require.NoError(t, err)
			assert.NoError(t, s.Validate(decode(t, e.JSON())), e.Type())
		}
	}
}

// TestMarksValidate checks the members of the envelope that are there only now and then.
func TestMarksValidate(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		s, _ := compile(t, typ)
		e, _ := event.Sample(typ)
		test := e.ForTest()
		require.NoError(t, s.Validate(decode(t, test.JSON())), typ)
		denied := bytes.Replace(test.JSON(), []byte(`"test":true`), []byte(`"test":false`), 1)
		require.Error(t, s.Validate(decode(t, denied)), "what is no test does not say so")
	}
	text := strings.Repeat("why ", event.MaxDataSize)
	long, err := event.New(event.RequestBreakGlass{AccessRequest: event.AccessRequest{Justification: text}},
		event.Meta{Attributes: map[string]string{"custom": text}})
	require.NoError(t, err)
	require.Len(t, long.Shortened(), 2)
	s, _ := compile(t, long.Type())
	require.NoError(t, s.Validate(decode(t, long.JSON())))
	none := bytes.Replace(long.JSON(), []byte(`["data.justification"`), []byte(`[""`), 1)
	require.Error(t, s.Validate(decode(t, none)))
}

// TestMutantsDoNotValidate damages every sample in every place its schema describes, one place at a time.
func TestMutantsDoNotValidate(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			s, doc := compile(t, typ)
			e, _ := event.Sample(typ)
			original := decode(t, e.JSON())
			bad, open := 0, 0
			mutate(doc, original, "", func(what string, valid bool) {
				err := s.Validate(original)
				if valid {
					open++
					assert.NoError(t, err, what)
					return
				}
				bad++
				assert.Error(t, err, what)
			})
			assert.NoError(t, s.Validate(original), "the damage must have been undone")
			assert.Equal(t, decode(t, e.JSON()), original)
			assert.Greater(t, bad, 20)
			assert.Greater(t, open, 2)
		})
	}
}

// mutate calls check after each single change below v, which s describes, and undoes the change. valid says whether the
// changed event is still a good one: fields may be added, and optional ones may be missing.
func mutate(s map[string]any, v any, path string, check func(what string, valid bool)) {
	object, ok := v.(map[string]any)
	if !ok {
		if list, ok := v.([]any); ok {
			for i := range list {
				damage(s["items"], list[i], fmt.Sprintf("%s[%d]", path, i), func(to any) { list[i] = to }, check)
				mutate(s["items"].(map[string]any), list[i], fmt.Sprintf("%s[%d]", path, i), check)
			}
		}
		return
	}
	object["field_of_a_later_version"] = map[string]any{"any": "thing"}
	check(path+": a field more", path != ".attributes")
	delete(object, "field_of_a_later_version")

	required, _ := s["required"].([]any)
	properties, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		was, at := object[name], path+"."+name
		delete(object, name)
		check(at+" is missing", !slices.Contains(required, any(name)))
		object[name] = was

		described := s["additionalProperties"]
		if p, ok := properties[name]; ok {
			described = p
		}
		damage(described, was, at, func(to any) { object[name] = to }, check)
		mutate(described.(map[string]any), was, at, check)
	}
}

// damage replaces one value by values of other kinds, and by words outside its vocabulary.
func damage(s, was any, at string, set func(any), check func(string, bool)) {
	for _, wrong := range []any{nil, true, json.Number("7"), "no such word", []any{"x"}, map[string]any{"x": "y"}} {
		set(wrong)
		check(fmt.Sprintf("%s is %v", at, wrong), fits(s.(map[string]any), wrong))
	}
	set(was)
}

// fits says whether a value of that kind is right by the plain reading of the schema's own words.
func fits(s map[string]any, v any) bool {
	if s["const"] != nil || s["enum"] != nil || s["pattern"] != nil {
		return false
	}
	kinds, ok := s["type"].([]any)
	if !ok {
		kinds = []any{s["type"]}
	}
	switch v.(type) {
	case nil:
		return slices.Contains(kinds, any("null"))
	case bool:
		return slices.Contains(kinds, any("boolean"))
	case json.Number:
		return slices.Contains(kinds, any("number")) || slices.Contains(kinds, any("integer"))
	case string:
		return slices.Contains(kinds, any("string"))
	case map[string]any:
		return s["additionalProperties"] != nil // attributes
	}
	return false // no field of the catalogue is a list of strings
}

// TestEnvelopeRules names the rules of the outer object one by one.
func TestEnvelopeRules(t *testing.T) {
	t.Parallel()
	s, _ := compile(t, event.TypeSessionStarted)
	e, _ := event.Sample(event.TypeSessionStarted)
	tests := map[string]func(root map[string]any){
		"dot in id":           func(r map[string]any) { r["id"] = "a.b" },
		"empty id":            func(r map[string]any) { r["id"] = "" },
		"long id":             func(r map[string]any) { r["id"] = strings.Repeat("x", 101) },
		"other type":          func(r map[string]any) { r["event_type"] = "session.ended" },
		"milliseconds":        func(r map[string]any) { r["event_time"] = json.Number("1696263265851") },
		"too early":           func(r map[string]any) { r["event_time"] = json.Number("-62135596801") },
		"time as text":        func(r map[string]any) { r["event_time"] = "1696263265.851898000" },
		"empty tenant":        func(r map[string]any) { r["tenant"] = "" },
		"long subject":        func(r map[string]any) { r["subject"] = strings.Repeat("x", 256) },
		"attribute number":    func(r map[string]any) { r["attributes"] = map[string]any{"a": json.Number("1")} },
		"attribute name":      func(r map[string]any) { r["attributes"] = map[string]any{"a b": "1"} },
		"attribute long":      func(r map[string]any) { r["attributes"] = map[string]any{"a": strings.Repeat("x", 1025)} },
		"data as text":        func(r map[string]any) { r["data"] = "{}" },
		"data without lsid":   func(r map[string]any) { r["data"] = map[string]any{} },
		"too many attributes": func(r map[string]any) { r["attributes"] = attributes(65) },
	}
	for name, change := range tests {
		root := decode(t, e.JSON()).(map[string]any)
		change(root)
		assert.Error(t, s.Validate(root), name)
	}
}

func attributes(n int) map[string]any {
	all := make(map[string]any)
	for i := range n {
		all[fmt.Sprint("a", i)] = ""
	}
	return all
}
