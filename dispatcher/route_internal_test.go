package dispatcher

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// testEachField compares structs that have all of base but, in one field after the other, the two values of a pair. A
// field without a pair fails the test, so that the comparison forgets none.
func testEachField[T any](t *testing.T, base T, pairs map[string][2]any, equal func(a, b T) bool) {
	t.Helper()
	of := reflect.TypeFor[T]()
	for i := range of.NumField() {
		name := of.Field(i).Name
		require.Contains(t, pairs, name)
		routes := [2]T{base, base}
		for n, v := range pairs[name] {
			reflect.ValueOf(&routes[n]).Elem().Field(i).Set(reflect.ValueOf(v))
		}
		assert.False(t, equal(routes[0], routes[1]), name)
		assert.False(t, equal(routes[1], routes[0]), name)
		assert.True(t, equal(routes[0], routes[0]) || isFunc(pairs[name][0]), name)
	}
}

// isFunc reports whether v is a function, or a list of them.
func isFunc(v any) bool {
	kind := reflect.TypeOf(v)
	return kind.Kind() == reflect.Func || kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Func
}

func TestRoutesThatDifferInOneFieldAreNotEqual(t *testing.T) {
	t.Parallel()
	key := func(channel.Delivery) string { return "k" }
	notify := func(*dedup.StoreError) {}
	testEachField(t, Route{Channel: new(namedChannel)}, map[string][2]any{
		"Name":        {"a", "b"},
		"Channel":     {new(namedChannel), new(namedChannel)},
		"Tenant":      {"a", "b"},
		"Events":      {event.Types("request.*"), event.Types("grant.*")},
		"Retry":       {retry.Schedule{0, 1}, retry.Schedule{0, 2}},
		"Timeout":     {time.Second, time.Minute},
		"Concurrency": {1, 2},
		"Order":       {BySubject, Strict},
		"Dedup":       {channel.DedupOptions{Window: 1}, channel.DedupOptions{Window: 2}},
		"Rate":        {Rate{Events: 1}, Rate{Events: 2}},
		"Backlog":     {Backlog{Jobs: 1}, Backlog{Jobs: 2}},
		"DeadLetters": {DeadLetterLimit{Count: 1}, DeadLetterLimit{Count: 2}},
		"MaxAge":      {time.Hour, 2 * time.Hour},
		"State":       {Paused, Disabled},
		"Protect":     {Protection{Fallback: "a"}, Protection{Fallback: "b"}},
		"Use":         {[]channel.Middleware{channel.WithRetry(retry.Never{})}, []channel.Middleware{}},
	}, func(a, b Route) bool { return a.equal(b) })
	testEachField(t, channel.DedupOptions{}, map[string][2]any{
		"Window":       {time.Second, time.Minute},
		"Lease":        {time.Second, time.Minute},
		"BreakGlass":   {true, false},
		"FailClosed":   {true, false},
		"Key":          {key, (func(channel.Delivery) string)(nil)},
		"OnStoreError": {notify, (func(*dedup.StoreError))(nil)},
	}, sameDedup)
}

type namedChannel struct{ _ byte }

func (*namedChannel) Send(context.Context, channel.Delivery) (channel.Receipt, error) {
	return channel.Receipt{}, nil
}

// Policies of a host's.
type (
	structPolicy struct {
		retry.Schedule

		name string
	}
	arrayPolicy   [2]retry.Schedule
	funcPolicy    func(retry.Failure) (time.Duration, bool)
	mapPolicy     map[string]time.Duration
	anyPolicy     []any
	pointerPolicy struct {
		retry.Schedule

		state *policyState
	}
	policyState struct {
		mu sync.Mutex
		n  int
	}
)

func (arrayPolicy) Next(retry.Failure) (time.Duration, bool)    { return 0, false }
func (f funcPolicy) Next(r retry.Failure) (time.Duration, bool) { return f(r) }
func (mapPolicy) Next(retry.Failure) (time.Duration, bool)      { return 0, false }
func (anyPolicy) Next(retry.Failure) (time.Duration, bool)      { return 0, false }

func TestPoliciesAreComparedByWhatTheyAre(t *testing.T) {
	t.Parallel()
	schedule := func() retry.Schedule { return retry.Schedule{0, time.Second} }
	state := new(policyState)
	never := func(retry.Failure) (time.Duration, bool) { return 0, false }
	cyclic := func() anyPolicy {
		p := anyPolicy{nil}
		p[0] = p
		return p
	}
	for name, c := range map[string]struct {
		a, b  retry.Policy
		equal bool
	}{
		"values":                       {retry.Fixed{For: 1}, retry.Fixed{For: 1}, true},
		"other values":                 {retry.Fixed{For: 1}, retry.Fixed{For: 2}, false},
		"other types":                  {retry.Fixed{}, retry.Never{}, false},
		"schedules":                    {schedule(), schedule(), true},
		"no schedule and an empty one": {retry.Schedule(nil), retry.Schedule{}, false},
		"a longer schedule":            {schedule(), append(schedule(), 0), false},
		"schedules, bounded":           {retry.AtMost(3, retry.Within(1, schedule())), retry.AtMost(3, retry.Within(1, schedule())), true},
		"schedules, not as much":       {retry.AtMost(3, schedule()), retry.AtMost(2, schedule()), false},
		"bounded and not":              {retry.AtMost(3, schedule()), retry.AtMost(3, retry.Never{}), false},
		"bounded nothing":              {retry.AtMost(3, schedule()), retry.AtMost(3, nil), false},
		"structs":                      {structPolicy{schedule(), "a"}, structPolicy{schedule(), "a"}, true},
		"other structs":                {structPolicy{schedule(), "a"}, structPolicy{schedule(), "b"}, false},
		"arrays":                       {arrayPolicy{schedule()}, arrayPolicy{schedule()}, true},
		"other arrays":                 {arrayPolicy{schedule()}, arrayPolicy{nil, schedule()}, false},
		"one pointer":                  {pointerPolicy{schedule(), state}, pointerPolicy{schedule(), state}, true},
		"two pointers to the like":     {pointerPolicy{schedule(), state}, pointerPolicy{schedule(), new(policyState)}, false},
		"a function":                   {funcPolicy(never), funcPolicy(never), false},
		"no function":                  {funcPolicy(nil), funcPolicy(nil), true},
		"a map":                        {mapPolicy{"a": 1}, mapPolicy{"a": 1}, false},
		"slices of slices":             {anyPolicy{schedule()}, anyPolicy{schedule()}, false},
		"slices of values":             {anyPolicy{1, "a"}, anyPolicy{1, "a"}, true},
		"slices in themselves":         {cyclic(), cyclic(), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := new(namedChannel)
			a, b := Route{Channel: same, Retry: c.a}, Route{Channel: same, Retry: c.b}
			assert.Equal(t, c.equal, a.equal(b))
			assert.Equal(t, c.equal, b.equal(a))
		})
	}
}

// A policy may be at work, and changing what it points to, while a change of routes compares it.
func TestComparingAPolicyReadsNothingItMayBeChanging(t *testing.T) {
	t.Parallel()
	state := new(policyState)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 1000 {
			state.mu.Lock()
			state.n++
			state.mu.Unlock()
		}
	})
	r := Route{Channel: new(namedChannel), Retry: pointerPolicy{retry.Schedule{0}, state}}
	for range 1000 {
		assert.True(t, r.equal(r))
	}
	wg.Wait()
}
