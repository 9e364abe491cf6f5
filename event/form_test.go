package event_test

import (
	"bytes"
	"encoding/json"
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
