package event_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// TestFreeTextNeverCostsAnEvent writes a text of every hostile kind into every place for text of every payload.
func TestFreeTextNeverCostsAnEvent(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"long":        strings.Repeat("x", event.MaxDataSize+1<<10),
		"longer":      strings.Repeat("long words ", event.MaxDataSize),
		"quotes":      strings.Repeat(`"\`, event.MaxDataSize),
		"controls":    strings.Repeat("\x00\x1b\n", event.MaxDataSize/2),
		"emoji":       strings.Repeat("👩‍👧", event.MaxDataSize/8),
		"bad UTF-8":   "\xff\xfe" + strings.Repeat("\xc0", event.MaxDataSize),
		"only quotes": strings.Repeat(`"`, 200),
	}
	payloads := map[string]func(string) event.Payload{
		"break glass": func(s string) event.Payload {
			return event.RequestBreakGlass{AccessRequest: event.AccessRequest{ID: "r-1", Justification: s}}
		},
		"denied": func(s string) event.Payload {
			return event.RequestDenied{AccessRequest: event.AccessRequest{ID: "r-1", Justification: s, FriendlyID: s}, Reason: s}
		},
		"failed": func(s string) event.Payload { return event.GrantFailed{Failure: s} },
		"session": func(s string) event.Payload {
			return event.SessionStarted{Session: event.Session{LSID: "l", ExternalKey: s}}
		},
		"access": func(s string) event.Payload {
			return event.ApplicationAccessDecided{ApplicationAccess: event.ApplicationAccess{RequestID: "r", Reason: s}, DecisionReason: s}
		},
		"alert": func(s string) event.Payload {
			return event.AlertOpened{Alert: event.Alert{AlertID: "a", AlertTitle: s, Description: s, EventDescription: s, InitiatedBy: s}}
		},
		"host": func(s string) event.Payload { return note{Text: s, Attrs: map[string]string{"field": s}} },
	}
	for payloadName, payload := range payloads {
		for textName, text := range texts {
			t.Run(payloadName+"/"+textName, func(t *testing.T) {
				t.Parallel()
				e, err := event.New(payload(text), event.Meta{Attributes: map[string]string{"custom": text}})
				require.NoError(t, err)
				assert.LessOrEqual(t, len(e.Data()), event.MaxDataSize)
				back, err := event.Parse(e.JSON())
				require.NoError(t, err)
				assert.True(t, e.SameAs(back))
				assert.Equal(t, e.Shortened(), back.Shortened())
				assert.Equal(t, string(e.JSON()), string(back.JSON()))
			})
		}
	}
}

func TestLongestTextsAreShortened(t *testing.T) {
	t.Parallel()
	const size = event.MaxDataSize
	text := strings.Repeat("é", size) + "end"
	request := event.AccessRequest{
		ID: "req-1", Requester: event.Person{Name: "Priya Nair"}, Justification: text,
		Approvals: []event.Approval{{Name: "Manager"}, {Name: strings.Repeat("m", size/4)}},
	}
	e, err := event.New(event.RequestBreakGlass{AccessRequest: request}, event.Meta{})
	require.NoError(t, err)
	assert.Equal(t, []string{"data.justification"}, e.Shortened(), "what is shorter stays as it is")
	assert.Greater(t, len(e.Data()), size-64, "no more is cut than has to be")
	assert.Contains(t, string(e.JSON()), `,"shortened":["data.justification"],"data":{`)
	assert.Equal(t, []any{"data.justification"}, e.Decoded()["shortened"])

	got, err := event.Decode[event.RequestBreakGlass](e)
	require.NoError(t, err)
	kept, mark, found := strings.Cut(got.Justification, "…[")
	require.True(t, found)
	var missing int
	_, err = fmt.Sscanf(mark, "%d characters left out]", &missing)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(text, kept))
	assert.Equal(t, utf8.RuneCountInString(text), utf8.RuneCountInString(kept)+missing, "the mark says how much")
	assert.Equal(t, request.Approvals, got.Approvals)

	request.Approvals[1].Name = strings.Repeat("m", size)
	e, err = event.New(event.RequestBreakGlass{AccessRequest: request}, event.Meta{})
	require.NoError(t, err)
	assert.Equal(t, []string{"data.justification", "data.approvals[1].name"}, e.Shortened())

	again, err := event.New(event.RequestBreakGlass{AccessRequest: request}, event.Meta{ID: e.ID()})
	require.NoError(t, err)
	assert.True(t, e.SameAs(again), "the same fact is shortened in the same way")
}

func TestAttributesAreShortened(t *testing.T) {
	t.Parallel()
	e, err := event.New(note{Text: "x"}, event.Meta{Attributes: map[string]string{"custom": strings.Repeat("é", 600), "ok": "a\xffb"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"attributes.custom"}, e.Shortened())
	value, _ := e.Attribute("custom")
	assert.LessOrEqual(t, len(value), 1024)
	assert.True(t, utf8.ValidString(value))
	assert.Regexp(t, `^é+…\[\d+ characters left out\]$`, value)
	value, _ = e.Attribute("ok")
	assert.Equal(t, "a\ufffdb", value)
	assert.Nil(t, event.Must(note{Text: "x"}, event.Meta{}).Shortened())
}

func TestManyTextsAreShortenedAlike(t *testing.T) {
	t.Parallel()
	all := make(map[string]string)
	for i := range 800 {
		all[fmt.Sprintf("text%03d", i)] = strings.Repeat("y", 300+i)
	}
	e, err := event.New(anything{all}, event.Meta{})
	require.NoError(t, err)
	assert.LessOrEqual(t, len(e.Data()), event.MaxDataSize)
	assert.Len(t, e.Shortened(), 16, "the list itself is bounded")
	var back map[string]string
	require.NoError(t, json.Unmarshal(e.Data(), &back))
	assert.Len(t, back, 800)
	for name, text := range back {
		assert.GreaterOrEqual(t, len(text), 200, name)
	}
}

func TestLongNamesInTheListAreCut(t *testing.T) {
	t.Parallel()
	e, err := event.New(anything{map[string]string{strings.Repeat("é", 1000): strings.Repeat("x", event.MaxDataSize)}}, event.Meta{})
	require.NoError(t, err)
	require.Len(t, e.Shortened(), 1)
	assert.LessOrEqual(t, len(e.Shortened()[0]), 128)
	assert.True(t, utf8.ValidString(e.Shortened()[0]))
}

func TestHalfCharactersAreReplaced(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":"\ud800"}`:               `{"a":"\ufffd"}`,
		`{"a":"\uDFFFx"}`:              `{"a":"\ufffdx"}`,
		`{"a":"\ud83d\ude00"}`:         `{"a":"\ud83d\ude00"}`,
		`{"a":"\ud83d\ud83d\ude00"}`:   `{"a":"\ufffd\ud83d\ude00"}`,
		`{"a":"\ude00\ud83d"}`:         `{"a":"\ufffd\ufffd"}`,
		`{"a":"\ud83d\\ude00"}`:        `{"a":"\ufffd\\ude00"}`,
		`{"a":"\\ud800 \ud7ff\ue000"}`: `{"a":"\\ud800 \ud7ff\ue000"}`,
		`{"\ud800":1}`:                 `{"\ufffd":1}`,
		"{\"a\":\"x\xffy\"}":           "{\"a\":\"x\ufffdy\"}",
	} {
		e, err := event.New(raw(in), event.Meta{})
		require.NoError(t, err, in)
		assert.Equal(t, want, string(e.Data()), in)

		if strings.Contains(in, "\xff") {
			continue // no JSON
		}
		parsed, err := event.Parse([]byte(`{"id":"1","event_type":"a.b","event_time":1,"data":` + in + `}`))
		require.NoError(t, err, in)
		assert.Equal(t, want, string(parsed.Data()), "what was stored before: %s", in)
	}
}

func TestShortenFitsAnySize(t *testing.T) {
	t.Parallel()
	e := event.Must(event.RequestDenied{
		AccessRequest: event.AccessRequest{ID: "req-1", Justification: strings.Repeat("why ", 2000), FriendlyID: "AR-1"},
		Reason:        strings.Repeat("no ", 1000),
	}, event.Meta{Tenant: "acme", Attributes: map[string]string{"custom": strings.Repeat("c", 900)}})

	same := e.Shorten(len(e.JSON()))
	assert.Nil(t, same.Shortened())
	assert.Equal(t, e.JSON(), same.JSON())

	for size := len(e.JSON()) - 1; size > 1500; size -= 97 {
		short := e.Shorten(size)
		assert.LessOrEqual(t, len(short.JSON()), size)
		assert.NotEmpty(t, short.Shortened())
		assert.Equal(t, e.ID(), short.ID())
		back, err := event.Parse(short.JSON())
		require.NoError(t, err)
		assert.True(t, short.SameAs(back))
	}
	assert.Equal(t, []string{"data.justification"}, e.Shorten(len(e.JSON())-100).Shortened())
	assert.Equal(t, []string{"data.justification", "data.reason"}, e.Shorten(4000).Shortened())

	envelope := e.Shorten(0)
	assert.Equal(t, []string{"data", "attributes"}, envelope.Shortened())
	assert.JSONEq(t, "{}", string(envelope.Data()))
	assert.Equal(t, "acme", envelope.Tenant())
	assert.True(t, event.Event{}.Shorten(0).IsZero())
}

// TestEnvelopeIsSmall holds what Shorten promises of an event without data.
func TestEnvelopeIsSmall(t *testing.T) {
	t.Parallel()
	m := event.Meta{ID: strings.Repeat("i", 100), Attributes: many(64)}
	m.Tenant = strings.Repeat(`"`, 255)
	m.Subject = strings.Repeat("👩", 255)
	m.Source = strings.Repeat("👩", 255)
	e := event.Must(note{Text: strings.Repeat("x", 9000)}, m)
	assert.Less(t, len(e.Shorten(0).JSON()), 8<<10)
}

func TestShortenedSurvivesParse(t *testing.T) {
	t.Parallel()
	for form, field := range map[string]string{
		`["` + strings.Repeat("x", 129) + `"]`:    "shortened",
		`[` + strings.Repeat(`"a",`, 16) + `"a"]`: "shortened",
		`"data"`: "shortened", `[1]`: "shortened", `null`: "shortened", `[""]`: "shortened",
	} {
		_, err := event.Parse([]byte(`{"id":"1","event_type":"a.b","event_time":1,"data":{},"shortened":` + form + `}`))
		var invalid *event.InvalidError
		require.ErrorAs(t, err, &invalid, form)
		assert.Equal(t, field, invalid.Field)
	}
}

// randomJSON returns an object with texts, escapes and nesting of every kind.
func randomJSON(r *rand.Rand, depth int) any {
	pieces := []string{"x", "é", "👩‍👧", "\"", "\\", "\n", "\x00", "\ufffd", "\u2028", "<>&", "ud800", `\ud800`}
	switch n := r.IntN(6); {
	case n < 3 || depth > 4:
		return strings.Repeat(pieces[r.IntN(len(pieces))]+pieces[r.IntN(len(pieces))], r.IntN(900))
	case n == 3:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomJSON(r, depth+1)
		}
		return list
	case n == 4:
		object := make(map[string]any)
		for range r.IntN(5) {
			object[pieces[r.IntN(len(pieces))]+fmt.Sprint(r.IntN(9))] = randomJSON(r, depth+1)
		}
		return object
	default:
		return r.Float64()
	}
}

// TestShortenProperty: whatever the data and the size, the result fits, is an event, and every text in it begins like
// the original.
func TestShortenProperty(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	mark := regexp.MustCompile(`…\[\d+ characters left out\]$`)
	for range 300 {
		object := make(map[string]any)
		for i := range 1 + r.IntN(6) {
			object[fmt.Sprint("k", i)] = randomJSON(r, 0)
		}
		e, err := event.New(anything{object}, event.Meta{})
		require.NoError(t, err)
		size := 1000 + r.IntN(max(len(e.JSON())-900, 1))
		short := e.Shorten(size)
		require.LessOrEqual(t, len(short.JSON()), max(size, 1000))
		back, err := event.Parse(short.JSON())
		require.NoError(t, err)
		require.True(t, short.SameAs(back))
		var before, after any
		require.NoError(t, json.Unmarshal(e.Data(), &before))
		require.NoError(t, json.Unmarshal(short.Data(), &after))
		if s := short.Shortened(); len(s) > 0 && s[0] == "data" {
			continue
		}
		compareTexts(t, mark, before, after)
	}
}

func compareTexts(t *testing.T, mark *regexp.Regexp, before, after any) {
	t.Helper()
	switch was := before.(type) {
	case string:
		is, ok := after.(string)
		require.True(t, ok)
		require.True(t, strings.HasPrefix(was, mark.ReplaceAllString(is, "")), "%.80q", is)
	case []any:
		is, ok := after.([]any)
		require.True(t, ok)
		require.Len(t, is, len(was))
		for i := range was {
			compareTexts(t, mark, was[i], is[i])
		}
	case map[string]any:
		is, ok := after.(map[string]any)
		require.True(t, ok)
		require.Len(t, is, len(was))
		for k := range was {
			compareTexts(t, mark, was[k], is[k])
		}
	default:
		require.Equal(t, before, after)
	}
}
