package event_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func sample(t testing.TB, typ event.Type) event.Event {
	t.Helper()
	e, ok := event.Sample(typ)
	require.True(t, ok, typ)
	return e
}

func own(typ event.Type) bool { return strings.HasPrefix(string(typ), "tocsin.") }

func TestZeroFilterWantsEveryLifecycleEvent(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]event.Filter{
		"zero": {}, "no patterns": event.Types(), "star": event.Types("*"), "all of none": event.All(),
		"any of zero": event.Any(event.Filter{}), "not nothing": event.Not(event.Any()),
		"where true": event.Where(func(event.Event) bool { return true }),
	} {
		require.NoError(t, f.Err(), name)
		for _, typ := range event.Catalogue() {
			assert.Equal(t, !own(typ), f.Match(sample(t, typ)), "%s: %s", name, typ)
			assert.Equal(t, !own(typ), f.MatchType(typ), "%s: %s", name, typ)
		}
		assert.True(t, f.Match(event.Must(note{}, event.Meta{})), "%s: types of the host are lifecycle events", name)
		assert.False(t, f.Match(event.Event{}), "%s: the zero event is none", name)
	}
}

func TestFilterMatch(t *testing.T) {
	t.Parallel()
	var (
		zero     event.Filter
		yes      = event.Where(func(event.Event) bool { return true })
		no       = event.Where(func(event.Event) bool { return false })
		tocsin   = event.Types("tocsin.*")
		failing  = event.Types("tocsin.channel_failing")
		requests = event.Types("request.*")
		keyed    = event.WithAttribute("external_key")
	)
	const (
		pending = event.TypeRequestPending
		denied  = event.TypeRequestDenied
		active  = event.TypeGrantActive
		session = event.TypeSessionStarted // has an external key
		fail    = event.TypeChannelFailing
		dead    = event.TypeDeliveryDead
	)
	all := []event.Type{pending, denied, active, session, fail, dead}
	tests := []struct {
		name   string
		filter event.Filter
		want   []event.Type // of all
		may    []event.Type // types beyond want that MatchType must not rule out
	}{
		{"exact type", event.Types("request.pending"), []event.Type{pending}, nil},
		{"prefix", requests, []event.Type{pending, denied}, nil},
		{"two patterns", event.Types("grant.active", "request.denied"), []event.Type{denied, active}, nil},
		{"a prefix ends at a dot", event.Types("requ.*"), nil, nil},
		{"attribute", keyed, []event.Type{session}, []event.Type{pending, denied, active}},
		{"where", no, nil, []event.Type{pending, denied, active, session}},
		{"all", event.All(requests, event.Types("*", "grant.*"), yes), []event.Type{pending, denied}, nil},
		{"all with nothing in common", event.All(requests, event.Types("grant.*")), nil, nil},
		{"all with zero", event.All(zero, requests), []event.Type{pending, denied}, nil},
		{"any", event.Any(requests, keyed), []event.Type{pending, denied, session}, []event.Type{active}},
		{"any of none", event.Any(), nil, nil},
		{"not", event.Not(requests), []event.Type{active, session}, nil},
		{"not not", event.Not(event.Not(requests)), []event.Type{pending, denied}, nil},
		{"not zero", event.Not(zero), nil, nil},
		{"not where", event.Not(yes), nil, []event.Type{pending, denied, active, session}},

		{"own events named by prefix", tocsin, []event.Type{fail, dead}, nil},
		{"own event named", failing, []event.Type{fail}, nil},
		{"own events and everything", event.Types("*", "tocsin.*"), all, nil},
		{"own events among any", event.Any(zero, failing), []event.Type{pending, denied, active, session, fail}, nil},
		{"own events with zero", event.All(zero, tocsin), []event.Type{fail, dead}, nil},
		{"own events restricted by not", event.All(tocsin, event.Not(failing)), []event.Type{dead}, nil},
		{"own events restricted by where", event.All(tocsin, no), nil, []event.Type{fail, dead}},
		{"own events restricted by attribute", event.All(keyed, tocsin), nil, []event.Type{fail, dead}},
		{"own events restricted by another name", event.All(tocsin, failing), []event.Type{fail}, nil},
		{"not does not name", event.Not(event.Not(tocsin)), nil, nil},
		{"not lets no own events through", event.Not(failing), []event.Type{pending, denied, active, session}, nil},
		{"a name that does not match does not count", event.Any(event.All(tocsin, no), yes), []event.Type{pending, denied, active, session}, []event.Type{fail, dead}},
		{"a name beside a match", event.All(event.Any(failing, zero), yes), []event.Type{pending, denied, active, session, fail}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, test.filter.Err())
			for _, typ := range all {
				assert.Equal(t, slices.Contains(test.want, typ), test.filter.Match(sample(t, typ)), "Match %s", typ)
				assert.Equal(t, slices.Contains(test.want, typ) || slices.Contains(test.may, typ), test.filter.MatchType(typ), "MatchType %s", typ)
			}
		})
	}
}

func TestWithAttributeWantsAValue(t *testing.T) {
	t.Parallel()
	f := event.WithAttribute("external_key")
	with := func(key string) event.Event {
		return event.Must(event.SessionStarted{Session: event.Session{LSID: "1", ExternalKey: key}}, event.Meta{})
	}
	assert.True(t, f.Match(with("INC-1")))
	assert.False(t, f.Match(with("")))
	_, ok := with("").Attribute("external_key")
	assert.False(t, ok, "a session without a key brings no attribute along")
	assert.False(t, f.Match(event.Must(note{}, event.Meta{Attributes: map[string]string{"external_key": ""}})))
}

func TestFilterPatterns(t *testing.T) {
	t.Parallel()
	good := []string{"*", "a.b", "a.*", "a.b.*", "a_1.b_2.c3", "tocsin.*", "tocsin.delivery_dead"}
	require.NoError(t, event.Types(good...).Err())
	assert.True(t, event.Types("a.*").MatchType("a.b.c"), "a prefix covers everything below it")
	assert.False(t, event.Types("a.b.*").MatchType("a.b"))

	bad := []string{
		"", ".", ".*", "**", "request", "request.", "request*", "request.pend*", "*.pending", "request.*.x", "request..*",
		"Request.*", "request.Pending", "request.pending ", "request pending", "request.pending\n", "tocsin*", "ünter.wegs",
		strings.Repeat("x", 100) + ".*",
	}
	for _, text := range bad {
		f := event.Types("request.pending", text, "*")
		var invalid *event.InvalidError
		require.ErrorAs(t, f.Err(), &invalid, text)
		assert.Equal(t, "patterns[1]", invalid.Field)
		assert.NotContains(t, invalid.Error(), "\n")
		if text != "" && len(text) < 100 {
			assert.Contains(t, invalid.Error(), strings.Trim(fmt.Sprintf("%q", text), `"`), "patterns are configuration and are shown")
		}
		assert.Less(t, len(invalid.Error()), 350)
		assert.NotContains(t, f.String(), "\n")
	}
}

// TestFilterMistakes checks that mistakes are all kept, wherever they are, and that such a filter matches nothing.
func TestFilterMistakes(t *testing.T) {
	t.Parallel()
	good := event.Types("request.*")
	bad := event.Types("x", "request.*", "Y.z")
	tests := map[string]struct {
		filter event.Filter
		fields []string
	}{
		"patterns":      {bad, []string{"patterns[0]", "patterns[2]"}},
		"where nil":     {event.Where(nil), []string{"Where"}},
		"attribute":     {event.WithAttribute("a b"), []string{`attribute "a b"`}},
		"in all":        {event.All(good, bad), []string{"patterns[0]", "patterns[2]"}},
		"in any":        {event.Any(good, event.Where(nil), bad), []string{"Where", "patterns[0]", "patterns[2]"}},
		"in not":        {event.Not(event.Types("")), []string{"patterns[0]"}},
		"not where nil": {event.Not(event.Where(nil)), []string{"Where"}},
		"deep":          {event.Any(good, event.All(good, event.Not(event.WithAttribute("")))), []string{`attribute ""`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fields []string
			for _, err := range flatten(test.filter.Err()) {
				var invalid *event.InvalidError
				require.ErrorAs(t, err, &invalid)
				fields = append(fields, invalid.Field)
			}
			assert.Equal(t, test.fields, fields)
			for _, typ := range event.Catalogue() {
				assert.False(t, test.filter.Match(sample(t, typ)))
				assert.False(t, test.filter.MatchType(typ))
			}
		})
	}
}

func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
	}
	return all
}

func TestWherePanics(t *testing.T) {
	t.Parallel()
	boom := event.Where(func(event.Event) bool { panic("boom") })
	e := sample(t, event.TypeRequestPending)
	for name, f := range map[string]event.Filter{
		"alone": boom, "in not": event.Not(boom), "in any": event.Any(boom, event.Types("*")),
		"in all": event.All(event.Types("*"), event.Not(boom)),
	} {
		require.NoError(t, f.Err(), name)
		assert.False(t, f.Match(e), name)
		assert.True(t, f.MatchType(e.Type()), "%s: MatchType does not call it", name)
	}
}

func TestFilterKeepsItsParts(t *testing.T) {
	t.Parallel()
	parts := []event.Filter{event.Types("request.*")}
	patterns := []string{"request.*"}
	byParts, byPatterns := event.All(parts...), event.Types(patterns...)
	parts[0], patterns[0] = event.Types("grant.*"), "grant.*"
	e := sample(t, event.TypeRequestPending)
	assert.True(t, byParts.Match(e))
	assert.True(t, byPatterns.Match(e))
}

func TestFilterString(t *testing.T) {
	t.Parallel()
	where := event.Where(func(event.Event) bool { return true })
	tests := map[string]event.Filter{
		"*":                        {},
		"request.*|alert.opened":   event.Types("request.*", "alert.opened"),
		"attribute(external_key)":  event.WithAttribute("external_key"),
		"where(func)":              where,
		"all(*, not(where(func)))": event.All(event.Filter{}, event.Not(where)),
		"any()":                    event.Any(),
		`attribute("a\nb")`:        event.WithAttribute("a\nb"),
		`any(grant.*|"Bad.*", all(request.*, attribute(a)))`: event.Any(
			event.Types("grant.*", "Bad.*"), event.All(event.Types("request.*"), event.WithAttribute("a"))),
	}
	for _, f := range tests {
		described := f.WithDescription("what I want")
		assert.Equal(t, "what I want", described.String())
		assert.Equal(t, "not(what I want)", event.Not(described).String())
		assert.False(t, described.Equal(f))
		assert.Equal(t, f.Err(), described.Err())
		for _, typ := range event.Catalogue() {
			assert.Equal(t, f.Match(sample(t, typ)), described.Match(sample(t, typ)))
			assert.Equal(t, f.MatchType(typ), described.MatchType(typ))
		}
	}
	for want, f := range tests {
		assert.Equal(t, want, f.String())
		assert.Equal(t, want, fmt.Sprint(f))
	}
}

func TestFilterEqual(t *testing.T) {
	t.Parallel()
	where, other := event.Where(func(event.Event) bool { return true }), event.Where(func(event.Event) bool { return true })
	build := []func() event.Filter{
		func() event.Filter { return event.Filter{} },
		func() event.Filter { return event.Types("*") },
		func() event.Filter { return event.Types("request.*", "alert.opened") },
		func() event.Filter { return event.Types("alert.opened", "request.*") },
		func() event.Filter { return event.Types("request.*") },
		func() event.Filter { return event.WithAttribute("a") },
		func() event.Filter { return event.WithAttribute("b") },
		func() event.Filter { return where },
		func() event.Filter { return other },
		func() event.Filter { return event.Not(where) },
		func() event.Filter { return event.Not(other) },
		func() event.Filter { return event.All(event.Types("request.*"), event.WithAttribute("a")) },
		func() event.Filter { return event.Any(event.Types("request.*"), event.WithAttribute("a")) },
		func() event.Filter { return event.All(event.Types("request.*"), event.WithAttribute("b")) },
		func() event.Filter { return event.All(event.Types("request.*")) },
	}
	for i, one := range build {
		for j, two := range build {
			assert.Equal(t, i == j, one().Equal(two()), "%s and %s", one(), two())
		}
	}
	always := func(event.Event) bool { return true }
	assert.False(t, event.Where(always).Equal(event.Where(always)), "a function cannot be compared")
}

// model is the documented meaning of a filter, written down a second time: plain says whether it holds when the
// library's own events are nothing special, named whether it also names them.
type model struct {
	filter       event.Filter
	plain, named func(event.Event) bool
}

func randomModel(r *rand.Rand, depth int) model {
	never := func(event.Event) bool { return false }
	kind := r.IntN(7)
	if depth == 0 {
		kind = r.IntN(4)
	}
	switch kind {
	case 0:
		return model{event.Filter{}, func(event.Event) bool { return true }, never}
	case 1:
		odd := r.IntN(2)
		f := func(e event.Event) bool { return len(e.Type())%2 == odd }
		return model{event.Where(f), f, never}
	case 2:
		return model{event.WithAttribute("external_key"), func(e event.Event) bool {
			_, ok := e.Attribute("external_key")
			return ok
		}, never}
	case 3:
		patterns := []string{"*", "request.*", "session.*", "request.denied", "tocsin.*", "tocsin.delivery_dead"}
		picked := []string{patterns[r.IntN(len(patterns))], patterns[r.IntN(len(patterns))]}
		holds := func(e event.Event, p string) bool {
			return p == string(e.Type()) || strings.HasSuffix(p, "*") && strings.HasPrefix(string(e.Type()), p[:len(p)-1])
		}
		return model{event.Types(picked...), func(e event.Event) bool {
			return holds(e, picked[0]) || holds(e, picked[1])
		}, func(e event.Event) bool {
			return holds(e, picked[0]) && own(event.Type(picked[0])) || holds(e, picked[1]) && own(event.Type(picked[1]))
		}}
	case 4:
		a := randomModel(r, depth-1)
		return model{event.Not(a.filter), func(e event.Event) bool { return !a.plain(e) }, never}
	}
	a, b := randomModel(r, depth-1), randomModel(r, depth-1)
	if kind == 5 {
		both := func(e event.Event) bool { return a.plain(e) && b.plain(e) }
		return model{event.All(a.filter, b.filter), both, func(e event.Event) bool {
			return both(e) && (a.named(e) || b.named(e))
		}}
	}
	return model{event.Any(a.filter, b.filter), func(e event.Event) bool { return a.plain(e) || b.plain(e) },
		func(e event.Event) bool { return a.named(e) || b.named(e) }}
}

func TestRandomFilters(t *testing.T) {
	t.Parallel()
	var events []event.Event
	for _, typ := range event.Catalogue() {
		events = append(events, sample(t, typ))
	}
	r := rand.New(rand.NewPCG(1, 2))
	matches := 0
	for range 3000 {
		m := randomModel(r, 4)
		require.NoError(t, m.filter.Err())
		for _, e := range events {
			want := m.plain(e)
			if own(e.Type()) {
				want = m.named(e)
			}
			got := m.filter.Match(e)
			require.Equal(t, want, got, "%s for %s", m.filter, e)
			require.True(t, !got || m.filter.MatchType(e.Type()), "%s: MatchType rules %s out", m.filter, e)
			if got {
				matches++
			}
		}
	}
	assert.Greater(t, matches, 3000, "the random filters must not all be empty")
}

func TestCheckFindsMisspeltTypes(t *testing.T) {
	t.Parallel()
	for pattern, like := range map[string]string{
		"request.pendin": "request.pending", "reqeust.pending": "request.pending", "requests.pending": "request.pending",
		"request.break_glas": "request.break_glass", "request.breakglass": "request.break_glass", "grant.revoke": "grant.revoked",
		"session.start": "session.started", "alert.open": "alert.opened", "requests.*": "request.*", "sesion.*": "session.*",
		"application_access.request": "application_access.requested",
	} {
		f := event.All(event.Types("grant.active", pattern))
		require.NoError(t, f.Err(), "it is a pattern")
		var invalid *event.InvalidError
		require.ErrorAs(t, f.Validate(), &invalid, pattern)
		assert.Equal(t, "patterns[1]", invalid.Field)
		assert.Contains(t, invalid.Problem, pattern)
		assert.Contains(t, invalid.Remedy, `did you mean "`+like+`"`)
		require.ErrorAs(t, event.Not(f).Validate(), &invalid, "inside of others: %s", pattern)
	}
	for _, pattern := range []string{"tocsin.channel_fail", "tocsin.unheard_of"} {
		require.Error(t, event.Types(pattern).Validate(), "no host has such a type: %s", pattern)
	}
	for _, typ := range event.Catalogue() {
		require.NoError(t, event.Types(string(typ)).Validate())
	}
	require.NoError(t, event.Filter{}.Validate())
	require.NoError(t, event.Any(event.Types("request.*", "tocsin.*", "*"), event.WithAttribute("x")).Validate())
	require.Error(t, event.Types("Request.Pending").Validate(), "what Err reports")
}

func TestCheckTakesTypesOfTheHost(t *testing.T) {
	t.Parallel()
	hosts := []string{
		"vault.key_rotated", "vault.*", "request.reopened", "request.escalated", "session.paused", "alarm.raised", "alarm.*", "host.note", "a.b", "agent.*",
	}
	require.NoError(t, event.Types(hosts...).Validate(), "without a list of them")

	own := []event.Type{"vault.key_rotated", "request.approve"}
	require.NoError(t, event.Types("vault.*", "vault.key_rotated", "request.approve", "request.approved").Validate(own...), "named, however alike")
	for _, pattern := range []string{"vault.key_rotate", "vault.secret_read", "vaults.*", "host.note"} {
		require.Error(t, event.Types(pattern).Validate(own...), "with a list nothing else is taken: %s", pattern)
	}
}
