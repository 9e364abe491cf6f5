package event_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// A sample for a test is new every time, is of whoever asks for it, and says that it is a test.
func TestSampleForTest(t *testing.T) {
	t.Parallel()
	m := event.Meta{Tenant: "acme", Source: "https://pam.example", Attributes: map[string]string{"actor": "priya"}}
	for _, typ := range event.Catalogue() {
		began := time.Now()
		first, err := event.SampleForTest(typ, m)
		require.NoError(t, err)
		second, err := event.SampleForTest(typ, m)
		require.NoError(t, err)
		assert.NotEqual(t, first.ID(), second.ID(), typ)
		assert.NotEqual(t, sample(t, typ).ID(), first.ID(), typ)
		assert.False(t, first.Time().Before(began), typ)
		assert.False(t, first.Time().After(time.Now()), typ)
		assert.Equal(t, typ, first.Type())
		assert.Equal(t, "acme", first.Tenant())
		assert.Equal(t, "https://pam.example", first.Source())
		assert.Equal(t, sample(t, typ).Subject(), first.Subject())
		actor, _ := first.Attribute("actor")
		assert.Equal(t, "priya", actor)
		assert.True(t, first.IsTest(), typ)
		back, err := event.Parse(first.JSON())
		require.NoError(t, err)
		assert.True(t, back.IsTest(), typ)
		assert.True(t, back.SameAs(first), typ)
	}
}

// With the id and the time of the fixed sample it is the same event, but for the mark.
func TestSampleForTestIsASample(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		fixed := sample(t, typ)
		e, err := event.SampleForTest(typ, event.Meta{ID: fixed.ID(), Time: fixed.Time()})
		require.NoError(t, err)
		assert.Equal(t, string(fixed.JSON()), strings.Replace(string(e.JSON()), `"test":true,`, "", 1))
	}
}

// Every time in the data is as far from the event's as it is in the fixed sample.
func TestTimesOfATestGoWithItsOwn(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 5, 6, 7, 8, 9, 10, time.UTC)
	for _, typ := range event.Catalogue() {
		fixed := sample(t, typ)
		e, err := event.SampleForTest(typ, event.Meta{Time: at})
		require.NoError(t, err)
		want, got := times(fixed.Decoded()["data"]), times(e.Decoded()["data"])
		require.Len(t, got, len(want), typ)
		for i := range want {
			assert.Equal(t, want[i].Sub(fixed.Time()), got[i].Sub(at), typ)
		}
	}
	soon, err := event.SampleForTest(event.TypeGrantExpiringSoon, event.Meta{Time: at})
	require.NoError(t, err)
	grant, err := event.Decode[event.GrantExpiringSoon](soon)
	require.NoError(t, err)
	assert.True(t, at.Add(15*time.Minute).Equal(grant.Granted.ExpiresAt.Time))
}

// times returns the timestamps in v, which are the numbers with nine fraction digits, sorted by their keys.
func times(v any) []time.Time {
	var all []time.Time
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = append(all, times(v[key])...)
		}
	case []any:
		for _, one := range v {
			all = append(all, times(one)...)
		}
	case json.Number:
		if _, fraction, _ := strings.Cut(v.String(), "."); len(fraction) == 9 {
			var t event.Timestamp
			if json.Unmarshal([]byte(v), &t) == nil {
				all = append(all, t.Time)
			}
		}
	}
	return all
}

func TestSampleForTestRefuses(t *testing.T) {
	t.Parallel()
	for field, call := range map[string]func() (event.Event, error){
		"type": func() (event.Event, error) { return event.SampleForTest("host.note", event.Meta{}) },
		"tenant": func() (event.Event, error) {
			return event.SampleForTest(event.TypeGrantActive, event.Meta{Tenant: "\n"})
		},
		"id": func() (event.Event, error) { return event.SampleForTest(event.TypeGrantActive, event.Meta{ID: "a.b"}) },
		"time": func() (event.Event, error) {
			return event.SampleForTest(event.TypeGrantActive, event.Meta{Time: time.Unix(1<<40, 0)})
		},
		"payload": func() (event.Event, error) {
			return event.SampleForTest(event.TypeGrantActive, event.Meta{Time: time.Unix(-62135596800, 1)})
		},
	} {
		e, err := call()
		var invalid *event.InvalidError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, field, invalid.Field)
		assert.True(t, e.IsZero())
	}
}
