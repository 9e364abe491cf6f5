package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func TestJSONForm(t *testing.T) {
	t.Parallel()
	at := time.Unix(1696263265, 851898000)
	tests := map[string]struct {
		meta event.Meta
		want string
	}{
		"least": {
			event.Meta{ID: "1", Time: at},
			`{"id":"1","event_type":"host.note","event_time":1696263265.851898000,"data":{"text":"a<b>&\"c\\"}}`,
		},
		"most": {
			event.Meta{
				ID: "1", Time: at, Tenant: `a"c`, Subject: `s\`, Source: "https://é.example/?a=1&b=<2>",
				Attributes: map[string]string{"z": "tab\tnul\x00\u2028", "a": `"`},
			},
			`{"id":"1","event_type":"host.note","event_time":1696263265.851898000,"tenant":"a\"c","subject":"s\\",` +
				`"source":"https://é.example/?a=1&b=<2>","attributes":{"a":"\"","z":"tab\u0009nul\u0000` + "\u2028" + `"},` +
				`"data":{"text":"a<b>&\"c\\"}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event.Must(note{Text: `a<b>&"c\`}, test.meta)
			assert.Equal(t, test.want, string(e.JSON()))
			assert.Equal(t, test.want, string(e.JSON()), "the second call gives the same")

			b, err := e.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, test.want, string(b))
		})
	}
}

// TestDecodedIsTheDecodedForm compares the tree, which is put together from parts, with the JSON form decoded as a
// whole.
func TestDecodedIsTheDecodedForm(t *testing.T) {
	t.Parallel()
	all := event.Meta{Tenant: "acme", Source: "pam", Subject: "s", Attributes: map[string]string{"a": "1", "b": "\"\n"}}
	events := []event.Event{event.Must(note{}, event.Meta{}), event.Must(note{Text: "x"}, all)}
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		events = append(events, e)
	}
	for _, e := range events {
		var want map[string]any
		dec := json.NewDecoder(bytes.NewReader(e.JSON()))
		dec.UseNumber()
		require.NoError(t, dec.Decode(&want))
		assert.Equal(t, want, e.Decoded(), e.String())
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	e := event.Must(anything{map[string]any{"big": json.Number("9007199254740993"), "small": json.Number("0.1000000000000000055")}}, event.Meta{})
	data := e.Decoded()["data"].(map[string]any)
	assert.Equal(t, json.Number("9007199254740993"), data["big"])
	assert.Equal(t, json.Number("0.1000000000000000055"), data["small"])
	assert.Contains(t, string(e.JSON()), `"big":9007199254740993`)
}

// anything encodes as the value it holds.
type anything struct{ value any }

func (anything) EventType() event.Type          { return "host.anything" }
func (a anything) MarshalJSON() ([]byte, error) { return json.Marshal(a.value) }

// TestEnclosingMarshalRewrites shows why stored forms carry bytes: encoding/json does not keep those of MarshalJSON.
func TestEnclosingMarshalRewrites(t *testing.T) {
	t.Parallel()
	e, err := event.Parse([]byte(`{"id":"1","event_type":"host.note","event_time":1,"data":{ "text" : "<" }}`))
	require.NoError(t, err)
	assert.Equal(t, `{ "text" : "<" }`, string(e.Data()))

	type job struct{ Event event.Event }
	b, err := json.Marshal(job{e})
	require.NoError(t, err)
	assert.Contains(t, string(b), `{"text":"\u003c"}`)

	var back job
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, e.ID(), back.Event.ID())
	assert.NotContains(t, string(back.Event.Data()), " ", "and so the data is not the same byte for byte")
}

func TestParseIsTheInverseOfJSON(t *testing.T) {
	t.Parallel()
	events := []event.Event{
		event.Must(note{Text: "<&>\u2028 \\ \" \x00"}, event.Meta{
			Tenant: `a"\b`, Source: "s", Subject: "é", Time: time.Unix(-1, 1),
			Attributes: map[string]string{"a": "\x00\n\"\\", "b": ""},
		}),
		event.Must(note{}, event.Meta{}),
	}
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		events = append(events, e)
	}
	for _, e := range events {
		back, err := event.Parse(e.JSON())
		require.NoError(t, err, e.String())
		assert.True(t, e.SameAs(back), e.String())
		assert.Equal(t, string(e.JSON()), string(back.JSON()))
		assert.Equal(t, string(e.Data()), string(back.Data()))
		assert.Equal(t, e.Time(), back.Time())
		assert.Equal(t, e.Source(), back.Source())
		assert.Equal(t, e.Decoded(), back.Decoded())
	}
}

func TestParseReadsAnySpelling(t *testing.T) {
	t.Parallel()
	b := []byte(" {\n\t\"data\" : { \"b\" : [ 1 , {\"x\":\"}]\\\"\"} ] , \"a\" : 1.50 } , \"later\":[{}, \"],\"], \"\\u0069d\":\"\\u0041-1\",\r\n" +
		`"attributes":{ "k\u002ex" : "v\n" }, "event_type":"host.note" ,"event_time": -1.5 ,"tenant":"\ud83d\ude00" } `)
	e, err := event.Parse(b)
	require.NoError(t, err)
	assert.Equal(t, "A-1", e.ID())
	assert.Equal(t, event.Type("host.note"), e.Type())
	assert.True(t, time.Unix(-2, 500000000).Equal(e.Time()))
	assert.Equal(t, "😀", e.Tenant())
	value, _ := e.Attribute("k.x")
	assert.Equal(t, "v\n", value)
	const data = `{ "b" : [ 1 , {"x":"}]\""} ] , "a" : 1.50 }`
	assert.Equal(t, data, string(e.Data()), "byte for byte")
	assert.True(t, bytes.HasSuffix(e.JSON(), []byte(`"data":`+data+`}`)))

	copy(b, bytes.Repeat([]byte("x"), len(b)))
	assert.Equal(t, data, string(e.Data()), "the input must not be retained")
	assert.Equal(t, "A-1", e.ID())
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	// form returns a good event with one member changed, or left out when value is empty.
	form := func(key, value string) string {
		members := []struct{ key, value string }{
			{"id", `"1"`}, {"event_type", `"host.note"`}, {"event_time", `1`}, {"data", `{}`},
		}
		var parts []string
		found := false
		for _, m := range members {
			if m.key == key {
				m.value, found = value, true
			}
			if m.value != "" {
				parts = append(parts, fmt.Sprintf("%q:%s", m.key, m.value))
			}
		}
		if !found {
			parts = append(parts, fmt.Sprintf("%q:%s", key, value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	_, err := event.Parse([]byte(form("extra", `1`)))
	require.NoError(t, err, "the form that the cases are made from must be good")

	tests := map[string]struct{ in, field, problem string }{
		"nothing":              {``, "form", "not valid JSON"},
		"cut off":              {`{"id":"` + marker, "form", "not valid JSON"},
		"two values":           {form("x", "1") + "{}", "form", "not valid JSON"},
		"a list":               {`["` + marker + `"]`, "form", "not a JSON object"},
		"a string":             {`"` + marker + `"`, "form", "not a JSON object"},
		"null":                 {`null`, "form", "not a JSON object"},
		"bad UTF-8":            {form("extra", "\""+marker+"\xff\""), "form", "UTF-8"},
		"very deep":            {strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "form", "not valid JSON"},
		"empty":                {`{}`, "id", "missing"},
		"no id":                {form("id", ""), "id", "missing"},
		"no type":              {form("event_type", ""), "event_type", "missing"},
		"no time":              {form("event_time", ""), "event_time", "missing"},
		"no data":              {form("data", ""), "data", "missing"},
		"empty id":             {form("id", `""`), "id", "empty"},
		"bad id":               {form("id", `"`+marker+`.1"`), "id", "character"},
		"id a number":          {form("id", `1`), "id", "not a string"},
		"id twice":             {`{"\u0069d":"2",` + form("x", "1")[1:], "id", "twice"},
		"type a number":        {form("event_type", `1`), "event_type", "not a string"},
		"bad type":             {form("event_type", `"`+marker+`"`), "type", "segments"},
		"time a string":        {form("event_time", `"`+marker+`"`), "event_time", "not a number"},
		"time null":            {form("event_time", `null`), "event_time", "not a number"},
		"time with exponent":   {form("event_time", `1e9`), "event_time", "exponent"},
		"time in milliseconds": {form("event_time", `1696263265851`), "event_time", "years"},
		"tenant null":          {form("tenant", `null`), "tenant", "not a string"},
		"tenant control":       {form("tenant", `"`+marker+`\n"`), "tenant", "control"},
		"subject a list":       {form("subject", `[]`), "subject", "not a string"},
		"source too long":      {form("source", `"`+strings.Repeat("x", 256)+`"`), "source", "longer"},
		"attributes a list":    {form("attributes", `[]`), "attributes", "not a JSON object"},
		"attribute a number":   {form("attributes", `{"a":1}`), "attributes", "not a string"},
		"attribute twice":      {form("attributes", `{"a":"1","\u0061":"2"}`), "attributes", "twice"},
		"attribute name":       {form("attributes", `{"`+marker+` ":"1"}`), "attributes", "name"},
		"data a list":          {form("data", `[]`), "data", "object"},
		"data null":            {form("data", `null`), "data", "object"},
		"data too deep":        {form("data", `{"a":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`), "data", "nested"},
		"data too large":       {form("data", `{"a":"`+strings.Repeat("x", event.MaxDataSize)+`"}`), "data", "256 KiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := event.Parse([]byte(test.in))
			assert.True(t, e.IsZero())
			var invalid *event.InvalidError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, test.field, invalid.Field)
			assert.Contains(t, invalid.Problem, test.problem)
			assert.NotContains(t, err.Error(), marker)
		})
	}
	var e event.Event
	var invalid *event.InvalidError
	require.ErrorAs(t, json.Unmarshal([]byte(`{}`), &e), &invalid, "UnmarshalJSON is Parse")
}

// FuzzParse checks that whatever is accepted is a complete event that survives the round trip, and that what
// encoding/json reads from the input is what Parse reads.
func FuzzParse(f *testing.F) {
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		f.Add([]byte(e.JSON()))
	}
	f.Add([]byte(`{"id":"1","event_type":"a.b","event_time":-0.5,"attributes":{"a":"\ud800"},"data":{"a":"\\"}}`))
	f.Add([]byte(` { "\u0069d" : "1" , "event_type":"a.b", "event_time":1, "data" : {"}":["]"]} , "x":[{}]} `))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := event.Parse(b)
		if err != nil {
			require.True(t, e.IsZero())
			return
		}
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(b, &members))
		var typ string
		require.NoError(t, json.Unmarshal(members["event_type"], &typ))
		require.Equal(t, typ, string(e.Type()))
		require.Equal(t, string(members["data"]), string(e.Data()))
		var attributes map[string]string
		if list, ok := members["attributes"]; ok {
			require.NoError(t, json.Unmarshal(list, &attributes))
		}
		got := maps.Collect(e.Attributes())
		require.Len(t, got, len(attributes))
		for name, value := range attributes {
			require.Equal(t, value, got[name])
		}
		require.True(t, json.Valid(e.JSON()))
		require.NotNil(t, e.Decoded()["data"])
		back, err := event.Parse(e.JSON())
		require.NoError(t, err)
		require.True(t, e.SameAs(back))
		require.Equal(t, string(e.JSON()), string(back.JSON()))
	})
}
