package dispatcher_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// A dispatched test is an event like any other to tenants, filters and observers; but it neither counts as what was
// delivered already nor is suppressed for what was, whatever the key function.
func TestDispatchedTests(t *testing.T) {
	for name, key := range map[string]func(channel.Delivery) string{
		"default": nil, "own": func(channel.Delivery) string { return "always the same" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var rec, others channeltest.Recorder
				o := twoHours
				o.Key = key
				b := start(t,
					dispatcher.Route{Name: "approvals", Tenant: "acme", Channel: &rec, Dedup: o, Events: event.Types("request.approved")},
					dispatcher.Route{Name: "others", Tenant: "umbrella", Channel: &others})
				test := func(typ event.Type) event.Event {
					e, err := event.SampleForTest(typ, event.Meta{Tenant: "acme"})
					require.NoError(t, err)
					return e
				}
				same := func() event.Event {
					e, err := event.Decode[event.RequestApproved](test(event.TypeRequestApproved))
					require.NoError(t, err)
					return event.Must(e, event.Meta{Tenant: "acme"})
				}
				var tests []bool
				for _, e := range []event.Event{test(event.TypeRequestApproved), same(), test(event.TypeRequestApproved), test(event.TypeRequestApproved), same()} {
					b.dispatch(e)
					synctest.Wait()
				}
				for _, d := range rec.Deliveries() {
					tests = append(tests, d.Event.IsTest())
				}
				assert.Equal(t, []bool{true, false, true, true}, tests)
				assert.Equal(t, map[dispatcher.Outcome]int{dispatcher.Delivered: 4, dispatcher.Skipped: 1}, b.seen.results("approvals"))

				b.dispatch(test(event.TypeRequestDenied))
				assert.Equal(t, []dispatcher.Reason{dispatcher.NoTenant}, b.seen.unrouted)
				assert.Empty(t, others.Deliveries())
			})
		})
	}
}

// Engine.Test sends an event of one's own making as it is, but for the id: the time and the tenant are its own.
func TestTestOfASample(t *testing.T) {
	t.Parallel()
	var rec channeltest.Recorder
	b := setup(t)
	sampled, err := event.SampleForTest(event.TypeGrantExpiringSoon, event.Meta{Tenant: "acme"})
	require.NoError(t, err)
	for range 2 {
		_, err = b.Test(context.Background(), dispatcher.Route{Name: "new", Channel: &rec}, sampled)
		require.NoError(t, err)
	}
	seen := map[string]bool{sampled.ID(): true}
	for _, d := range rec.Deliveries() {
		assert.False(t, seen[d.Event.ID()], "a receiver must not take it for a repetition")
		seen[d.Event.ID()] = true
		assert.True(t, d.Event.IsTest())
		assert.Equal(t, "acme", d.Event.Tenant())
		assert.Equal(t, sampled.Time(), d.Event.Time())
		assert.Equal(t, sampled.Data(), d.Event.Data())
	}
	assert.Len(t, seen, 3)
}
