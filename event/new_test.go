package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// marker stands in every hostile value; no error may repeat it.
const marker = "hunter2"

type typed struct{ typ event.Type }

func (t typed) EventType() event.Type { return t.typ }

type custom struct{ marshal func() ([]byte, error) }

func (custom) EventType() event.Type          { return "host.custom" }
func (c custom) MarshalJSON() ([]byte, error) { return c.marshal() }

type panicking struct{ where string }

func (p panicking) EventType() event.Type {
	p.at("type")
	return "host.panicking"
}
func (p panicking) EventSubject() string               { p.at("subject"); return "" }
func (p panicking) EventAttributes() map[string]string { p.at("attributes"); return nil }
func (p panicking) MarshalJSON() ([]byte, error)       { p.at("json"); return []byte("{}"), nil }
func (p panicking) at(where string) {
	if p.where == where {
		panic(marker)
	}
}

type cyclic struct{ Next *cyclic }

func (*cyclic) EventType() event.Type { return "host.cyclic" }

type channel struct{ C chan int }

func (channel) EventType() event.Type { return "host.channel" }

func nested(depth int) any {
	v := any("x")
	for range depth {
		v = []any{v}
	}
	return map[string]any{"v": v}
}

func many(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[fmt.Sprint("a", i)] = "v"
	}
	return m
}

func raw(s string) custom { return custom{func() ([]byte, error) { return []byte(s), nil }} }

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	loop := &cyclic{}
	loop.Next = loop
	good := note{Text: "x"}
	tests := map[string]struct {
		payload event.Payload
		meta    event.Meta
		field   string
		problem string
	}{
		"nil payload":         {nil, event.Meta{}, "payload", "nil"},
		"nil pointer payload": {(*note)(nil), event.Meta{}, "payload", "nil"},
		"empty type":          {typed{""}, event.Meta{}, "type", "empty"},
		"one segment":         {typed{marker}, event.Meta{}, "type", "segments"},
		"upper case":          {typed{"host." + event.Type(strings.ToUpper(marker))}, event.Meta{}, "type", "segments"},
		"empty segment":       {typed{"host.." + marker}, event.Meta{}, "type", "segments"},
		"leading dot":         {typed{".host." + marker}, event.Meta{}, "type", "segments"},
		"trailing dot":        {typed{"host." + marker + "."}, event.Meta{}, "type", "segments"},
		"blank in type":       {typed{"host." + marker + " x"}, event.Meta{}, "type", "segments"},
		"long type":           {typed{event.Type("host." + strings.Repeat("x", 96))}, event.Meta{}, "type", "longer"},

		"dot in id":       {good, event.Meta{ID: marker + ".1"}, "id", "character"},
		"letter in id":    {good, event.Meta{ID: marker + "é"}, "id", "character"},
		"newline in id":   {good, event.Meta{ID: marker + "\n"}, "id", "character"},
		"long id":         {good, event.Meta{ID: strings.Repeat("x", 101)}, "id", "longer"},
		"time too early":  {good, event.Meta{Time: time.Date(0, 12, 31, 23, 59, 59, 0, time.UTC)}, "time", "years"},
		"time too late":   {good, event.Meta{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "time", "years"},
		"long tenant":     {good, event.Meta{Tenant: marker + strings.Repeat("x", 250)}, "tenant", "longer"},
		"tenant newline":  {good, event.Meta{Tenant: marker + "\n"}, "tenant", "control"},
		"tenant C1":       {good, event.Meta{Tenant: marker + "\u0085"}, "tenant", "control"},
		"tenant UTF-8":    {good, event.Meta{Tenant: marker + "\xff"}, "tenant", "UTF-8"},
		"source NUL":      {good, event.Meta{Source: marker + "\x00"}, "source", "control"},
		"subject DEL":     {good, event.Meta{Subject: marker + "\x7f"}, "subject", "control"},
		"payload subject": {note{About: marker + "\r"}, event.Meta{}, "subject", "control"},

		"attribute name":      {good, event.Meta{Attributes: map[string]string{marker + " x": ""}}, "attributes", "name"},
		"empty name":          {good, event.Meta{Attributes: map[string]string{"": marker}}, "attributes", "name"},
		"long name":           {good, event.Meta{Attributes: map[string]string{strings.Repeat("x", 65): ""}}, "attributes", "name"},
		"too many":            {good, event.Meta{Attributes: many(65)}, "attributes", "more than 64"},
		"too many together":   {note{Attrs: map[string]string{"one": ""}}, event.Meta{Attributes: many(64)}, "attributes", "more than 64"},
		"payload's attribute": {note{Attrs: map[string]string{marker + "\xff": ""}}, event.Meta{}, "attributes", "name"},

		"a list":          {anything{[]string{marker}}, event.Meta{}, "data", "object"},
		"a string":        {anything{marker}, event.Meta{}, "data", "object"},
		"null":            {anything{nil}, event.Meta{}, "data", "object"},
		"oversize":        {anything{map[string]any{marker: make([]int, event.MaxDataSize)}}, event.Meta{}, "data", "256 KiB"},
		"oversize names":  {anything{map[string]string{strings.Repeat(marker, event.MaxDataSize/5): ""}}, event.Meta{}, "data", "256 KiB"},
		"reserved type":   {typed{"tocsin." + marker}, event.Meta{}, "type", "reserved"},
		"reserved, known": {typed{event.TypeDeliveryDead}, event.Meta{}, "type", "reserved"},
		"too deep":        {anything{nested(1000)}, event.Meta{}, "data", "nested"},
		"deep and wide":   {anything{map[string]any{"v": nested(999), "x": make([]struct{}, 2000)}}, event.Meta{}, "data", "nested"},
		"broken JSON":     {raw(`{"a":"` + marker), event.Meta{}, "payload", "encoded"},
		"two values":      {raw(`{} {}`), event.Meta{}, "payload", "encoded"},
		"not a number":    {anything{math.NaN()}, event.Meta{}, "payload", "encoded"},
		"marshal fails":   {custom{func() ([]byte, error) { return nil, errors.New(marker) }}, event.Meta{}, "payload", "encoded"},
		"a channel":       {channel{}, event.Meta{}, "payload", "chan int"},
		"a cycle":         {loop, event.Meta{}, "payload", "encoded"},
		"type panics":     {panicking{"type"}, event.Meta{}, "payload", "panicked"},
		"subject panics":  {panicking{"subject"}, event.Meta{}, "payload", "panicked"},
		"attrs panic":     {panicking{"attributes"}, event.Meta{}, "payload", "panicked"},
		"marshal panics":  {panicking{"json"}, event.Meta{}, "payload", "panicked"},
		"timestamp range": {anything{event.At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}, event.Meta{}, "payload", "encoded"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := event.New(test.payload, test.meta)
			assert.True(t, e.IsZero())
			var invalid *event.InvalidError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, test.field, invalid.Field)
			assert.Contains(t, invalid.Problem, test.problem)
			assert.NotEmpty(t, invalid.Remedy)
			for _, format := range []string{"%v", "%+v", "%#v"} {
				assert.NotContains(t, strings.ToLower(fmt.Sprintf(format, err)), marker)
			}
		})
	}
}

func TestNewTakesTheLimits(t *testing.T) {
	t.Parallel()
	long := many(63)
	long[strings.Repeat("N", 64)] = strings.Repeat("v", 1024)
	tests := map[string]struct {
		payload event.Payload
		meta    event.Meta
	}{
		"long id":       {note{}, event.Meta{ID: strings.Repeat("x", 100)}},
		"long texts":    {note{}, event.Meta{Tenant: strings.Repeat("t", 255), Source: strings.Repeat("é", 255), Subject: "a b"}},
		"attributes":    {note{}, event.Meta{Attributes: long}},
		"long type":     {typed{event.Type("host." + strings.Repeat("x", 95))}, event.Meta{}},
		"first second":  {note{}, event.Meta{Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)}},
		"last second":   {note{}, event.Meta{Time: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)}},
		"largest data":  {note{Text: strings.Repeat("x", event.MaxDataSize-len(`{"text":""}`))}, event.Meta{}},
		"deepest data":  {anything{nested(999)}, event.Meta{}},
		"deep and wide": {anything{map[string]any{"v": nested(998), "w": make([][]int, 2), "x": make([]struct{}, 2000)}}, event.Meta{}},
		"many small":    {anything{map[string]any{"v": strings.Split(strings.Repeat("[{,", 2000), ",")}}, event.Meta{}},
		"wide":          {anything{map[string]any{"v": make([]struct{}, 5000)}}, event.Meta{}},
		"own type":      {event.ChannelFailing{}, event.Meta{}},
		"own pointer":   {&event.DeliveryDead{}, event.Meta{}},
		"own bad UTF8":  {note{Text: "a\xffb"}, event.Meta{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := event.New(test.payload, test.meta)
			require.NoError(t, err)
			require.NoError(t, test.meta.Validate())
			back, err := event.Parse(e.JSON())
			require.NoError(t, err, "whatever New takes can be parsed again")
			assert.True(t, e.SameAs(back))
			assert.NotNil(t, e.Decoded()["data"])
		})
	}
	e := event.Must(note{Text: "a\xffb"}, event.Meta{})
	assert.JSONEq(t, `{"text":"a\ufffdb"}`, string(e.Data()), "as documented, and as encoding/json does")
}

func TestMetaErr(t *testing.T) {
	t.Parallel()
	require.NoError(t, event.Meta{}.Validate())
	var invalid *event.InvalidError
	require.ErrorAs(t, event.Meta{Source: "a\nb"}.Validate(), &invalid)
	assert.Equal(t, "source", invalid.Field)
	assert.Equal(t, "event: source holds a control character; remove it", invalid.Error())
}

// TestErrorsAreStable makes sure that of several mistakes always the same one is reported.
func TestErrorsAreStable(t *testing.T) {
	t.Parallel()
	bad := event.Meta{Source: "\n", Tenant: "\n", Subject: "\n", Attributes: map[string]string{"\n": ""}}
	for range 50 {
		var invalid *event.InvalidError
		require.ErrorAs(t, bad.Validate(), &invalid)
		require.Equal(t, "source", invalid.Field)
	}
}

func TestPayloadKinds(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]event.Payload{
		"pointer": &note{Text: "x"},
		"map":     facts{"text": "x"},
		"raw":     anything{json.RawMessage(`{"text": "x"}`)},
	} {
		e, err := event.New(p, event.Meta{})
		require.NoError(t, err, name)
		assert.Equal(t, `{"text":"x"}`, string(e.Data()), name)
	}
}

type facts map[string]any

func (facts) EventType() event.Type { return "host.facts" }
