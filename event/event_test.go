package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// note is a payload of a host.
type note struct {
	Text  string            `json:"text"`
	About string            `json:"-"`
	Attrs map[string]string `json:"-"`
}

func (note) EventType() event.Type                { return "host.note" }
func (n note) EventSubject() string               { return n.About }
func (n note) EventAttributes() map[string]string { return n.Attrs }

func TestNewFillsInWhatIsEmpty(t *testing.T) {
	t.Parallel()
	before := time.Now()
	e, err := event.New(note{Text: "hello", About: "ticket-1"}, event.Meta{})
	require.NoError(t, err)

	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, e.ID())
	assert.WithinRange(t, e.Time(), before.Round(0), time.Now())
	assert.Equal(t, time.UTC, e.Time().Location())
	assert.NotContains(t, e.Time().String(), "m=", "the monotonic reading must be stripped")
	assert.Equal(t, event.Type("host.note"), e.Type())
	assert.Equal(t, "ticket-1", e.Subject())
	assert.Empty(t, e.Tenant())
	assert.Empty(t, e.Source())
	assert.JSONEq(t, `{"text":"hello"}`, string(e.Data()))
	assert.False(t, e.IsZero())
}

func TestNewTakesWhatIsGiven(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", 3600))
	e, err := event.New(note{About: "own", Attrs: map[string]string{"a": "payload", "b": "payload"}}, event.Meta{
		ID: "My_id-1", Source: "https://pam.example", Tenant: "acme", Subject: "given", Time: at,
		Attributes: map[string]string{"b": "meta", "Z.9": ""},
	})
	require.NoError(t, err)
	assert.Equal(t, "My_id-1", e.ID())
	assert.Equal(t, "https://pam.example", e.Source())
	assert.Equal(t, "acme", e.Tenant())
	assert.Equal(t, "given", e.Subject())
	assert.True(t, at.Equal(e.Time()))

	var got []string
	for name, value := range e.Attributes() {
		got = append(got, name+"="+value)
	}
	assert.Equal(t, []string{"Z.9=", "a=payload", "b=meta"}, got, "sorted by name, those of Meta win")
	value, ok := e.Attribute("Z.9")
	assert.True(t, ok)
	assert.Empty(t, value)
	_, ok = e.Attribute("absent")
	assert.False(t, ok)
	for range e.Attributes() {
		break // the sequence must stop when asked to
	}
}

func TestIDsAreUniqueAndSortable(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	last := ""
	for i := range 1000 {
		e := event.Must(note{}, event.Meta{})
		require.False(t, seen[e.ID()], "id %d came twice", i)
		seen[e.ID()] = true
		require.LessOrEqual(t, last[:min(len(last), 13)], e.ID()[:13], "the time part must not go back")
		last = e.ID()
	}
}

func TestEventIsImmutable(t *testing.T) {
	t.Parallel()
	attrs := map[string]string{"a": "1"}
	defaults := map[string]string{"d": "1"}
	p := &note{Text: "before", Attrs: defaults}
	e := event.Must(p, event.Meta{Attributes: attrs})
	p.Text, attrs["a"], defaults["d"] = "after", "2", "2"
	assert.JSONEq(t, `{"text":"before"}`, string(e.Data()))
	for _, name := range []string{"a", "d"} {
		value, _ := e.Attribute(name)
		assert.Equal(t, "1", value)
	}
	assert.Len(t, attrs, 1, "the host's map must not be written to")
	assert.Len(t, defaults, 1, "the payload's map must not be written to")

	for name, b := range map[string][]byte{"Data": e.Data(), "JSON": e.JSON()} {
		assert.Equal(t, len(b), cap(b), "%s: appending must copy", name)
	}
	b, err := e.MarshalJSON()
	require.NoError(t, err)
	b[0] = 'X'
	assert.True(t, json.Valid(e.JSON()), "MarshalJSON must hand out a copy")
	assert.False(t, reflect.TypeFor[event.Event]().Comparable(), "== must not compile")
}

func TestZeroEvent(t *testing.T) {
	t.Parallel()
	var e event.Event
	assert.True(t, e.IsZero())
	assert.Empty(t, e.ID()+string(e.Type())+e.Source()+e.Tenant()+e.Subject())
	assert.True(t, e.Time().IsZero())
	_, ok := e.Attribute("a")
	assert.False(t, ok)
	for range e.Attributes() {
		t.Error("the zero event has no attributes")
	}
	assert.Nil(t, e.Data())
	assert.Nil(t, e.JSON())
	assert.Nil(t, e.Decoded())
	assert.Equal(t, "no event", e.String())
	assert.True(t, e.WithSource("s").IsZero())
	assert.True(t, e.SameAs(event.Event{}))
	some := event.Must(note{}, event.Meta{})
	assert.False(t, e.SameAs(some))
	assert.False(t, some.SameAs(e))
	b, err := json.Marshal(e)
	require.NoError(t, err)
	assert.Equal(t, "null", string(b))
	require.NoError(t, json.Unmarshal([]byte("null"), &some))
	assert.False(t, some.IsZero(), "null leaves the event as it was")
}

func TestWithSource(t *testing.T) {
	t.Parallel()
	e := event.Must(note{Text: "x", About: "s"}, event.Meta{Tenant: "acme", Attributes: map[string]string{"a": "1"}})
	before := string(e.JSON())
	f := e.WithSource("pam")
	assert.Empty(t, e.Source())
	assert.Equal(t, before, string(e.JSON()), "the original must stay as it is")
	assert.Equal(t, "pam", f.Source())
	assert.Contains(t, string(f.JSON()), `"source":"pam"`)
	assert.Equal(t, "pam", f.Decoded()["source"])
	assert.True(t, e.SameAs(f), "the source is not part of the fact")
	assert.Equal(t, e.ID(), f.ID())
	assert.Equal(t, e.Time(), f.Time())
	assert.Equal(t, "pam", f.WithSource("other").Source(), "a source that is there stays")
	assert.Empty(t, e.WithSource("line\nbreak").Source(), "a bad source is not taken")
	assert.Empty(t, e.WithSource("").Source())
}

func TestSameAs(t *testing.T) {
	t.Parallel()
	meta := event.Meta{ID: "1", Tenant: "acme", Subject: "s", Time: time.Unix(1, 0)}
	with := func(change func(*event.Meta)) event.Meta { m := meta; change(&m); return m }
	e := event.Must(note{Text: "x"}, meta)
	tests := map[string]struct {
		other event.Event
		same  bool
	}{
		"itself":        {e, true},
		"made again":    {event.Must(note{Text: "x"}, meta), true},
		"other time":    {event.Must(note{Text: "x"}, with(func(m *event.Meta) { m.Time = time.Unix(2, 0) })), true},
		"other source":  {event.Must(note{Text: "x"}, with(func(m *event.Meta) { m.Source = "s" })), true},
		"other id":      {event.Must(note{Text: "x"}, with(func(m *event.Meta) { m.ID = "2" })), false},
		"other tenant":  {event.Must(note{Text: "x"}, with(func(m *event.Meta) { m.Tenant = "t" })), false},
		"other subject": {event.Must(note{Text: "x"}, with(func(m *event.Meta) { m.Subject = "t" })), false},
		"other data":    {event.Must(note{Text: "y"}, meta), false},
		"other type":    {event.Must(renamed{"x"}, meta), false},
	}
	for name, test := range tests {
		assert.Equal(t, test.same, e.SameAs(test.other), name)
		assert.Equal(t, test.same, test.other.SameAs(e), name)
	}
}

// renamed encodes like note, under another type.
type renamed struct {
	Text string `json:"text"`
}

func (renamed) EventType() event.Type { return "host.renamed" }

// TestNothingPrintsData formats events, and structs and collections that hold them, with every verb there is.
func TestNothingPrintsData(t *testing.T) {
	t.Parallel()
	const secret = "xyzzy"
	e := event.Must(note{Text: secret, About: secret, Attrs: map[string]string{"a": secret}}, event.Meta{Tenant: secret})
	e.JSON()
	e.Decoded()
	type hidden struct {
		e event.Event
		n int
	}
	type shown struct{ E event.Event }
	type deep struct{ p *hidden }
	values := []any{
		e, &e, hidden{e, 1}, &hidden{e, 1}, shown{e}, &shown{e}, deep{&hidden{e, 1}},
		[]event.Event{e}, []hidden{{e, 1}}, map[string]hidden{"k": {e, 1}}, []any{e, hidden{e, 1}},
		reflect.ValueOf(e), reflect.ValueOf(hidden{e, 1}), reflect.ValueOf(hidden{e, 1}).Field(0),
	}
	forms := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("%d", []byte(secret))}
	forms[3] = strings.Trim(forms[3], "[]")
	check := func(text, how string) {
		for _, form := range forms {
			assert.NotContains(t, text, form, how)
		}
	}
	for _, flag := range []string{"", "+", "#", "0", " "} {
		for verb := rune('A'); verb <= 'z'; verb++ {
			for _, v := range values {
				format := "%" + flag + string(verb)
				check(fmt.Sprintf(format, v), fmt.Sprintf("%s of %T", format, v))
			}
		}
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "event", e)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "event", e)
	check(out.String(), "slog")
	assert.Equal(t, 2, strings.Count(out.String(), "host.note "+e.ID()))
	assert.Equal(t, "host.note "+e.ID(), e.String())
	assert.Equal(t, "event.Event(host.note "+e.ID()+")", fmt.Sprintf("%#v", e))
}

func TestSharedFormsUnderConcurrency(t *testing.T) {
	t.Parallel()
	e, ok := event.Sample(event.TypeGrantActive)
	require.True(t, ok)
	const n = 64
	forms := make([]json.RawMessage, n)
	trees := make([]map[string]any, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if i%2 == 0 {
				forms[i], trees[i] = e.JSON(), e.Decoded()
			} else {
				trees[i], forms[i] = e.Decoded(), e.JSON()
			}
		})
	}
	wg.Wait()
	for i := range n {
		assert.Same(t, &forms[0][0], &forms[i][0], "one JSON form for all")
		assert.Equal(t, reflect.ValueOf(trees[0]).Pointer(), reflect.ValueOf(trees[i]).Pointer(), "one tree for all")
	}
}

func TestMustPanics(t *testing.T) {
	t.Parallel()
	assert.Panics(t, func() { event.Must(nil, event.Meta{}) })
}

func TestForTest(t *testing.T) {
	t.Parallel()
	sampled := sample(t, event.TypeRequestBreakGlass)
	began := time.Now()
	first, second := sampled.ForTest(), sampled.ForTest()
	assert.NotEqual(t, first.ID(), second.ID(), "a receiver must not take the second for a repetition")
	assert.NotEqual(t, sampled.ID(), first.ID())
	assert.False(t, first.Time().Before(began.Add(-time.Millisecond)))
	assert.True(t, first.IsTest())
	assert.False(t, sampled.IsTest())
	assert.Equal(t, sampled.Data(), first.Data())
	assert.Equal(t, sampled.Type(), first.Type())
	assert.Equal(t, sampled.Subject(), first.Subject())

	assert.Contains(t, string(first.JSON()), `"test":true`)
	assert.NotContains(t, string(sampled.JSON()), `"test"`)
	assert.Equal(t, true, first.Decoded()["test"])
	assert.NotContains(t, sampled.Decoded(), "test")

	back, err := event.Parse(first.JSON())
	require.NoError(t, err)
	assert.True(t, back.IsTest(), "queues keep the JSON form")
	assert.True(t, back.WithSource("s").IsTest())
	assert.True(t, back.Shorten(0).IsTest())
	assert.True(t, event.Event{}.ForTest().IsZero())

	again := back.ForTest()
	assert.NotEqual(t, back.ID(), again.ID())
	assert.Equal(t, back.Time(), again.Time(), "the time that a test was made with stays")

	notTrue, err := event.Parse([]byte(`{"id":"1","event_type":"a.b","event_time":1,"data":{},"test":false}`))
	require.NoError(t, err)
	assert.False(t, notTrue.IsTest())
	var invalid *event.InvalidError
	_, err = event.Parse([]byte(`{"id":"1","event_type":"a.b","event_time":1,"data":{},"test":1}`))
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "test", invalid.Field)
}

func about(tenant, subject string) event.Event {
	return event.Must(note{}, event.Meta{ID: "evt-1", Tenant: tenant, Subject: subject})
}

func TestCorrelationID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	for _, tc := range []struct{ tenant, subject, want string }{
		{"acme", "AR-2047", "acme/AR-2047"},
		{"", "AR-2047", "AR-2047"},
		{"acme", "", "acme//evt-1"},
		{"", "", "//evt-1"},
		{"acme", "emea/REQ-1", "acme/emea%2fREQ-1"},
		{"acme/emea", "REQ-1", "acme%2femea/REQ-1"},
		{"a%2fb", "~x é", "a%252fb/%7ex%20%c3%a9"},
		{"ACME", "REQ-1", "ACME/REQ-1~"},
		{"acme", long, "acme/" + strings.Repeat("x", 62) + "~"},
	} {
		got := about(tc.tenant, tc.subject).CorrelationID(100)
		want, _, digested := strings.Cut(tc.want, "~")
		have, digest, _ := strings.Cut(got, "~")
		assert.Equal(t, want, have)
		if digested {
			assert.Len(t, digest, 32)
		}
	}
	assert.Empty(t, event.Event{}.CorrelationID(100))
	e := about("acme", "AR-2047")
	test := e.ForTest()
	assert.NotEqual(t, e.CorrelationID(100), test.CorrelationID(100), "a test must not close what is real")
	assert.NotEqual(t, test.CorrelationID(100), e.ForTest().CorrelationID(100))
}

// TestCorrelationIDIsInjective builds ids of names that are made of what the encoding uses itself.
func TestCorrelationIDIsInjective(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "A", "/", "%", "2f", "~", " ", "é", "É", "//", "%2f", "evt-1", strings.Repeat("x", 90), strings.Repeat("x", 91)}
	names := []string{""}
	for _, a := range pieces {
		names = append(names, a)
		for _, b := range pieces {
			names = append(names, a+b)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, size := range []int{40, 100, 128, 255} {
		seen := make(map[string]string)
		add := func(e event.Event) {
			id, names := e.CorrelationID(size), fmt.Sprintf("%q, %q, test %t", e.Tenant(), e.Subject(), e.IsTest())
			require.LessOrEqual(t, len(id), size)
			require.Empty(t, strings.Trim(id, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"))
			if other, twice := seen[id]; twice {
				t.Fatalf("%s and %s are both %s", other, names, id)
			}
			seen[id] = names
		}
		for _, tenant := range names {
			for _, subject := range names {
				add(about(tenant, subject))
			}
		}
		// Names that are ids themselves.
		for _, e := range []event.Event{about("A", "x"), about("a", strings.Repeat("x", 200)), about("acme", "R")} {
			add(e)
			add(about("", e.CorrelationID(size)))
		}
	}
}

// Destinations that ignore case take no tenant for another.
func TestCorrelationIDsOfTenantsDifferBeyondCase(t *testing.T) {
	t.Parallel()
	ids := make(map[string]bool)
	for _, tenant := range []string{"acme", "Acme", "ACME", "aCme", "É", "é"} {
		ids[strings.ToLower(about(tenant, "req-1").CorrelationID(100))] = true
	}
	assert.Len(t, ids, 6)
}
