package dispatcher_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// unkeyed is a queue that can order whole lanes only.
type unkeyed struct{ *memoryqueue.Queue }

func (u unkeyed) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	jobs = slices.Clone(jobs)
	for i := range jobs {
		jobs[i].OrderKey = ""
	}
	return u.Queue.Enqueue(ctx, jobs...)
}

func (u unkeyed) Properties() queue.Properties {
	p := u.Queue.Properties()
	p.KeyedOrder = false
	return p
}

// configErrors lists all *ConfigErrors joined in err, in their order.
func configErrors(t *testing.T, err error) []*channel.ConfigError {
	t.Helper()
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*channel.ConfigError
		for _, each := range joined.Unwrap() {
			all = append(all, configErrors(t, each)...)
		}
		return all
	}
	c, ok := errors.AsType[*channel.ConfigError](err)
	require.True(t, ok, "not a ConfigError: %v", err)
	return []*channel.ConfigError{c}
}

func TestConfigErrorNamesTheField(t *testing.T) {
	t.Parallel()
	wrap := func(next channel.Channel) channel.Channel { return next }
	for name, tc := range map[string]struct {
		spoil       func(r *dispatcher.Route)
		field, says string
	}{
		"no name":           {func(r *dispatcher.Route) { r.Name = "" }, "Name", "is empty"},
		"name too long":     {func(r *dispatcher.Route) { r.Name = strings.Repeat("ä", 101) }, "Name", "has 101 characters; use at most 100"},
		"name with control": {func(r *dispatcher.Route) { r.Name = "a\nb" }, "Name", "control character"},
		"name not UTF-8":    {func(r *dispatcher.Route) { r.Name = "a\xff" }, "Name", "not UTF-8"},
		"name reserved":     {func(r *dispatcher.Route) { r.Name = "tocsin.x" }, "Name", "library's own"},
		"no channel":        {func(r *dispatcher.Route) { r.Channel = nil }, "Channel", "is nil"},
		"misspelt type":     {func(r *dispatcher.Route) { r.Events = event.Types("request.pendign") }, "Events", `did you mean "request.pending"`},
		"bad pattern":       {func(r *dispatcher.Route) { r.Events = event.Types("request.*", "Bad Pattern") }, "Events", "Bad Pattern"},
		"Concurrency":       {func(r *dispatcher.Route) { r.Concurrency = -1 }, "Concurrency", "is negative"},
		"Order unknown":     {func(r *dispatcher.Route) { r.Order = 9 }, "Order", "is unknown"},
		"State unknown":     {func(r *dispatcher.Route) { r.State = 9 }, "State", "is unknown"},
		"Rate.Events":       {func(r *dispatcher.Route) { r.Rate.Events = -1 }, "Rate.Events", "negative"},
		"Rate.Per":          {func(r *dispatcher.Route) { r.Rate.Per = -1 }, "Rate.Per", "negative"},
		"Rate.Burst":        {func(r *dispatcher.Route) { r.Rate.Burst = -1 }, "Rate.Burst", "negative"},
		"Rate too high":     {func(r *dispatcher.Route) { r.Rate = dispatcher.Rate{Events: 2, Per: 1} }, "Rate", "one per nanosecond"},
		"Backlog.Jobs":      {func(r *dispatcher.Route) { r.Backlog.Jobs = -1 }, "Backlog.Jobs", "is negative"},
		"Backlog.Overflow":  {func(r *dispatcher.Route) { r.Backlog.Overflow = 9 }, "Backlog.Overflow", "is unknown"},
		"Dedup.Window":      {func(r *dispatcher.Route) { r.Dedup.Window = -1 }, "Dedup.Window", "negative"},
		"Dedup.Lease":       {func(r *dispatcher.Route) { r.Dedup.Lease = -1 }, "Dedup.Lease", "negative"},
		"nil middleware":    {func(r *dispatcher.Route) { r.Use = []channel.Middleware{wrap, nil} }, "Use[1]", "is nil"},
		"panicking middleware": {func(r *dispatcher.Route) {
			r.Use = []channel.Middleware{func(channel.Channel) channel.Channel { panic("x") }, wrap}
		}, "Use[0]", "panics"},
		"middleware without result": {func(r *dispatcher.Route) {
			r.Use = []channel.Middleware{wrap, func(channel.Channel) channel.Channel { return nil }}
		}, "Use[1]", "returns nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := dispatcher.Route{Name: "spoilt", Channel: new(channeltest.Recorder)}
			tc.spoil(&bad)
			good := dispatcher.Route{Name: "good", Channel: new(channeltest.Recorder)}
			_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{good, bad}})
			all := configErrors(t, err)
			require.Len(t, all, 1, "%v", err)
			assert.Equal(t, "dispatcher", all[0].Package)
			assert.Equal(t, "Routes[1]."+tc.field, all[0].Path)
			assert.NotEmpty(t, all[0].Code)
			if tc.field != "Name" {
				assert.Equal(t, `route "spoilt"`, all[0].Of)
				assert.NotContains(t, all[0].Problem, "spoilt")
			}
			assert.ErrorContains(t, err, tc.says)
			assert.ErrorContains(t, err, "Routes[1]")
			assert.NotContains(t, err.Error(), "\n", "one line per problem, whatever the name holds")
			assert.Less(t, len(err.Error()), 300)

			b := setup(t, good)
			_, err = b.Test(t.Context(), bad, notes(1)[0])
			require.Len(t, configErrors(t, err), 1)
			assert.Equal(t, "Routes[0]."+tc.field, configErrors(t, err)[0].Path, "Test checks the same")
			require.Len(t, configErrors(t, b.SetRoutes(t.Context(), []dispatcher.Route{good, bad})), 1, "and so does SetRoutes")
		})
	}
}

func TestBestConfigIsAccepted(t *testing.T) {
	t.Parallel()
	_, err := dispatcher.New(dispatcher.Config{Source: "pam.example", Routes: []dispatcher.Route{{
		Name: strings.Repeat("ä", 100), Channel: new(channeltest.Recorder), Timeout: -1, MaxAge: -1,
		Order: dispatcher.Strict, State: dispatcher.Paused, Rate: dispatcher.Rate{Events: 1, Burst: 9},
		Backlog: dispatcher.Backlog{Jobs: 1, Overflow: dispatcher.DropOldest}, Tenant: dispatcher.AnyTenant,
	}}})
	require.NoError(t, err)
	_, err = dispatcher.New(dispatcher.Config{})
	require.NoError(t, err, "the zero Config works")
}

func TestSourceIsChecked(t *testing.T) {
	t.Parallel()
	_, err := dispatcher.New(dispatcher.Config{Source: "two\nlines", Routes: []dispatcher.Route{{Name: "r"}}})
	all := configErrors(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, "Source", all[0].Path)
	assert.Equal(t, "dispatcher: Source holds a control character; remove it", all[0].Error())
	assert.Equal(t, "Routes[0].Channel", all[1].Path)
}

func TestDuplicateNames(t *testing.T) {
	t.Parallel()
	r := dispatcher.Route{Name: "same", Channel: new(channeltest.Recorder)}
	other := dispatcher.Route{Name: "other", Channel: new(channeltest.Recorder)}
	_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{r, other, r, r}})
	all := configErrors(t, err)
	require.Len(t, all, 2)
	for i, path := range []string{"Routes[2].Name", "Routes[3].Name"} {
		assert.Equal(t, path, all[i].Path)
		assert.Equal(t, channel.CodeDuplicate, all[i].Code)
		assert.Contains(t, all[i].Problem, `"same"`)
		assert.Contains(t, all[i].Problem, "Routes[0]")
	}
}

func TestOrderNeedsTheQueue(t *testing.T) {
	t.Parallel()
	for order, ok := range map[dispatcher.Order]bool{dispatcher.Parallel: true, dispatcher.Strict: true, dispatcher.BySubject: false} {
		_, err := dispatcher.New(dispatcher.Config{
			Queue:  unkeyed{memoryqueue.New(memoryqueue.Options{})},
			Routes: []dispatcher.Route{{Name: "r", Channel: new(channeltest.Recorder), Order: order}},
		})
		if ok {
			require.NoError(t, err, order)
			continue
		}
		all := configErrors(t, err)
		require.Len(t, all, 1)
		assert.Equal(t, "Routes[0].Order", all[0].Path)
		assert.Contains(t, all[0].Problem, "this queue does not offer")
	}
}

// All problems are reported, by route and within a route by field, the same way every time.
func TestAllProblemsInFixedOrder(t *testing.T) {
	t.Parallel()
	routes := []dispatcher.Route{
		{},
		{Name: "b", Channel: new(channeltest.Recorder), Concurrency: -1, Order: 9, State: 9, Rate: dispatcher.Rate{Events: -1},
			Backlog: dispatcher.Backlog{Jobs: -1, Overflow: 9}, Dedup: channel.DedupOptions{Window: -1}, Use: []channel.Middleware{nil, nil}},
		{Name: "b", Events: event.Types("*.*.*")},
	}
	want := "0.Name,0.Channel,1.Concurrency,1.Order,1.State,1.Rate.Events,1.Backlog.Jobs,1.Backlog.Overflow,1.Dedup.Window,1.Use[0],1.Use[1],2.Channel,2.Events,2.Name"
	for range 5 {
		_, err := dispatcher.New(dispatcher.Config{Routes: routes})
		var got []string
		for _, c := range configErrors(t, err) {
			got = append(got, strings.NewReplacer("Routes[", "", "].", ".").Replace(c.Path))
		}
		assert.Equal(t, want, strings.Join(got, ","))
	}
}

// A middleware's mistake is reported beside the route's others.
func TestMistakesOfMiddlewareAndRoute(t *testing.T) {
	t.Parallel()
	_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: new(channeltest.Recorder), Order: 9,
		Use: []channel.Middleware{func(channel.Channel) channel.Channel { return nil }}}}})
	all := configErrors(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, "Routes[0].Order", all[0].Path)
	assert.Equal(t, "Routes[0].Use[0]", all[1].Path)
}

func TestFailedSetRoutesChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first, second := new(channeltest.Recorder), new(channeltest.Recorder)
		b := start(t, dispatcher.Route{Name: "r", Channel: first}, dispatcher.Route{Name: "gone", Channel: first, Events: event.Types("other.*")})
		before := b.statuses()
		err := b.SetRoutes(t.Context(), []dispatcher.Route{
			{Name: "r", Channel: second}, {Name: "new", Channel: second}, {Name: "bad", Channel: second, Concurrency: -1},
		})
		require.Len(t, configErrors(t, err), 1)
		assert.Equal(t, before, b.statuses())
		b.dispatch(notes(1)...)
		synctest.Wait()
		assertIDs(t, []string{"e-0"}, first.Deliveries())
		assert.Empty(t, second.Deliveries())
	})
}

// stuck is a queue whose lanes of one name cannot be opened.
type stuck struct {
	*memoryqueue.Queue
	name string
	err  error
}

func (s *stuck) Open(lane string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	if lane == s.name {
		return nil, s.err
	}
	return s.Queue.Open(lane, o, h)
}

func TestLaneThatCannotBeOpened(t *testing.T) {
	bubble(t, func(t *testing.T) {
		broken := errors.New("broken")
		q := &stuck{memoryqueue.New(memoryqueue.Options{}), "bad", broken}
		var rec channeltest.Recorder
		good := func(name string) dispatcher.Route { return dispatcher.Route{Name: name, Channel: &rec} }
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{good("r")}})
		b.run()
		synctest.Wait()
		err := b.SetRoutes(t.Context(), []dispatcher.Route{good("r"), good("new"), good("bad")})
		require.ErrorIs(t, err, broken)
		require.ErrorContains(t, err, `open lane "bad"`)
		assert.Len(t, b.statuses(), 1, "the old set is in force")
		require.NoError(t, b.SetRoutes(t.Context(), []dispatcher.Route{good("r"), good("new")}), "no lane was left open")
		b.dispatch(notes(1)...)
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 2)

	})
}

func TestRunThatCannotOpenItsLanesCanBeRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		broken := errors.New("broken")
		q := &stuck{memoryqueue.New(memoryqueue.Options{}), "bad", broken}
		var rec channeltest.Recorder
		b := setupWith(t, dispatcher.Config{Queue: q, Routes: []dispatcher.Route{
			{Name: "a", Channel: &rec}, {Name: "bad", Channel: &rec}, {Name: "c", Channel: &rec},
		}})
		b.dispatch(notes(1)...)
		require.ErrorIs(t, b.Run(t.Context()), broken)
		assert.Empty(t, rec.Deliveries()[min(len(rec.Deliveries()), 2):], "the lane that does not open delivers nothing")
		q.name = ""
		b.run()
		synctest.Wait()
		assert.Len(t, rec.Deliveries(), 3, "each once")
	})
}

// typed nils that would panic at the first delivery are mistakes at once.
func TestConfigErrorsOfTypedNils(t *testing.T) {
	t.Parallel()
	ok := new(channeltest.Recorder)
	var sends channel.Func
	var pointer *channeltest.Recorder
	for name, tc := range map[string]struct {
		config dispatcher.Config
		want   string
	}{
		"channel": {dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: pointer}}},
			`dispatcher: Routes[0].Channel of route "r" is a nil *channeltest.Recorder; set the channel that delivers; check the error of its constructor`},
		"function": {dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: sends}}},
			`dispatcher: Routes[0].Channel of route "r" is a nil channel.Func; set the channel that delivers; check the error of its constructor`},
		"policy": {dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: ok, Retry: (*retry.Exponential)(nil)}}},
			`dispatcher: Routes[0].Retry of route "r" is a nil *retry.Exponential; leave it out for the default`},
		"empty schedule": {dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: ok, Retry: retry.Schedule(nil)}}}, ""},
		"middleware": {dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: ok, Use: []channel.Middleware{nil}}}},
			`dispatcher: Routes[0].Use[0] of route "r" is nil; remove it`},
		"middleware that returns one": {dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: ok,
			Use: []channel.Middleware{func(channel.Channel) channel.Channel { return pointer }}}}},
			`dispatcher: Routes[0].Use[0] of route "r" returns nil; correct that middleware`},
		"queue":       {dispatcher.Config{Queue: (*memoryqueue.Queue)(nil)}, `dispatcher: Queue is a nil *memoryqueue.Queue; set one that works, or leave it out`},
		"dedup store": {dispatcher.Config{DedupStore: (*dedup.Memory)(nil)}, `dispatcher: DedupStore is a nil *dedup.Memory; set one that works, or leave it out`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dispatcher.New(tc.config)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tc.want)
			require.ErrorAs(t, err, new(*channel.ConfigError))
		})
	}
}

// unbounded is a queue that bounds nothing.
type unbounded struct{ queue.Queue }

func (u unbounded) Properties() queue.Properties {
	p := u.Queue.Properties()
	p.Bounded, p.DeadBounded = false, false
	return p
}

func TestConfigErrorOfABacklogWithoutEffect(t *testing.T) {
	t.Parallel()
	for name, backlog := range map[string]dispatcher.Backlog{"jobs": {Jobs: 5}, "overflow": {Overflow: dispatcher.DropOldest}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dispatcher.Config{Routes: []dispatcher.Route{{Name: "r", Channel: new(channeltest.Recorder), Backlog: backlog}}}
			_, err := dispatcher.New(c)
			require.NoError(t, err, "the queue in memory bounds")
			c.Queue = unbounded{memoryqueue.New(memoryqueue.Options{})}
			_, err = dispatcher.New(c)
			require.EqualError(t, err, `dispatcher: Routes[0].Backlog of route "r" is set, but this queue does not bound lanes; leave it out: the queue's storage is the bound`)
		})
	}
}

func TestTypesOfTheHostAreKnown(t *testing.T) {
	t.Parallel()
	route := dispatcher.Route{Name: "r", Channel: new(channeltest.Recorder), Events: event.Types("vault.key_rotated", "request.approve")}
	_, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{route}})
	require.Len(t, configErrors(t, err), 1, "it is nearly request.approved")
	own := []event.Type{"vault.key_rotated", "request.approve"}
	engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{route}, EventTypes: own})
	require.NoError(t, err)
	route.Events = event.Types("vault.key_rotate")
	require.Len(t, configErrors(t, engine.SetRoutes(t.Context(), []dispatcher.Route{route})), 1, "with a list nothing else is taken")
}
