package event_test

import (
	"encoding/json"
	"math/big"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func TestTimestampJSON(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		at   time.Time
		want string
	}{
		"the documented example": {time.Date(2023, 10, 2, 16, 14, 25, 851898000, time.UTC), "1696263265.851898000"},
		"all nine digits":        {time.Unix(1696263265, 123456789), "1696263265.123456789"},
		"one nanosecond":         {time.Unix(1, 1), "1.000000001"},
		"epoch":                  {time.Unix(0, 0), "0.000000000"},
		"just before the epoch":  {time.Unix(-1, 999999999), "-0.000000001"},
		"half before the epoch":  {time.Unix(-1, 500000000), "-0.500000000"},
		"a second before":        {time.Unix(-1, 0), "-1.000000000"},
		"before the epoch":       {time.Unix(-2, 250000000), "-1.750000000"},
		"a zone":                 {time.Date(1970, 1, 1, 2, 0, 0, 0, time.FixedZone("", 7200)), "0.000000000"},
		"first instant":          {time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), "-62135596799.999999999"},
		"last instant":           {time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), "253402300799.999999999"},
		"none":                   {time.Time{}, "null"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := json.Marshal(event.Timestamp{Time: test.at})
			require.NoError(t, err)
			assert.Equal(t, test.want, string(b))

			var back event.Timestamp
			require.NoError(t, json.Unmarshal(b, &back))
			assert.True(t, test.at.Equal(back.Time), "%v became %v", test.at, back)
			assert.Equal(t, time.UTC, back.Location())
		})
	}
}

func TestTimestampParse(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Time{
		"0":                     time.Unix(0, 0),
		"-0":                    time.Unix(0, 0),
		"1696263265":            time.Unix(1696263265, 0),
		"1696263265.8":          time.Unix(1696263265, 800000000),
		"1696263265.000000009":  time.Unix(1696263265, 9),
		"-1.25":                 time.Unix(-2, 750000000),
		"-62135596800":          {},
		"253402300799.99999999": time.Unix(253402300799, 999999990),
	}
	for text, want := range tests {
		var got event.Timestamp
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		assert.True(t, want.Equal(got.Time), "%s became %v", text, got)
	}
}

func TestTimestampRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"1e9":                   "exponent",
		"1.5E+9":                "exponent",
		"1.0000000001":          "nine fraction digits",
		"1.0000000000":          "nine fraction digits",
		"253402300800":          "years",
		"1696263265851":         "years", // milliseconds
		"-62135596801":          "years",
		"-62135596800.1":        "years",
		"9223372036854775807":   "years",
		"92233720368547758079":  "years",
		"-92233720368547758079": "years",
		`"1696263265"`:          "not a number",
		`"2023-10-02T16:14Z"`:   "not a number",
		"true":                  "not a number",
		"{}":                    "not a number",
		"[]":                    "not a number",
		// These never come from encoding/json, but UnmarshalJSON can be called directly.
		"":      "not a number",
		"01":    "not a number",
		"+1":    "not a number",
		"--1":   "not a number",
		"1.":    "not a number",
		".5":    "not a number",
		"-":     "not a number",
		"1.2.3": "not a number",
		" 1":    "not a number",
		"0x10":  "not a number",
		"1_000": "not a number",
		"NaN":   "not a number",
	}
	for text, problem := range tests {
		at := event.At(time.Unix(7, 0))
		var invalid *event.InvalidError
		require.ErrorAs(t, at.UnmarshalJSON([]byte(text)), &invalid, text)
		assert.Equal(t, "timestamp", invalid.Field)
		assert.Contains(t, invalid.Problem, problem, text)
		assert.True(t, at.Equal(time.Unix(7, 0)), "%s: an error must leave the value alone", text)
	}
	for _, at := range []time.Time{
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(0, 12, 31, 23, 59, 59, 999999999, time.UTC),
	} {
		var invalid *event.InvalidError
		_, err := event.Timestamp{Time: at}.MarshalJSON()
		require.ErrorAs(t, err, &invalid)
		assert.Contains(t, invalid.Problem, "years")
	}
}

func TestTimestampInStructs(t *testing.T) {
	t.Parallel()
	type record struct {
		Always   event.Timestamp `json:"always"`
		Optional event.Timestamp `json:"optional,omitzero"`
	}
	b, err := json.Marshal(record{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"always":null}`, string(b))
	var r record
	require.NoError(t, json.Unmarshal(b, &r))
	assert.True(t, r.Always.IsZero())

	now := time.Now()
	r.Optional = event.At(now)
	assert.True(t, now.Equal(r.Optional.Time))
	assert.Equal(t, time.UTC, r.Optional.Location())
	assert.NotContains(t, r.Optional.String(), "m=")
}

// FuzzTimestamp judges every accepted number with exact rational arithmetic.
func FuzzTimestamp(f *testing.F) {
	for _, seed := range []string{"0", "-0.5", "1696263265.851898000", "253402300799.999999999", "-62135596800", "1e3", "null", `"1"`, "1.", "01", "-"} {
		f.Add([]byte(seed))
	}
	number := regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]{1,9})?$`)
	f.Fuzz(func(t *testing.T, b []byte) {
		var at event.Timestamp
		err := at.UnmarshalJSON(b)
		if string(b) == "null" {
			require.NoError(t, err)
			return
		}
		if !number.Match(b) {
			require.Error(t, err, "%q is not a number of the documented form", b)
			return
		}
		want, ok := new(big.Rat).SetString(string(b))
		require.True(t, ok)
		low, high := big.NewRat(-62135596800, 1), big.NewRat(253402300800, 1)
		if inside := want.Cmp(low) >= 0 && want.Cmp(high) < 0; !inside {
			require.Error(t, err, "%q is out of range", b)
			return
		}
		require.NoError(t, err, "%q", b)
		got := new(big.Rat).SetInt64(at.Unix())
		got.Add(got, big.NewRat(int64(at.Nanosecond()), 1e9))
		require.Zero(t, want.Cmp(got), "%q became %v", b, got)

		again, err := at.MarshalJSON()
		require.NoError(t, err)
		if at.IsZero() {
			require.Equal(t, "null", string(again))
			return
		}
		var back event.Timestamp
		require.NoError(t, back.UnmarshalJSON(again))
		require.True(t, at.Equal(back.Time))
	})
}
