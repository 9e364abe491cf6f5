package oteldispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tocsin-go/tocsin/dispatcher"
)

func TestSeriesAreForgottenRatherThanKeptForEver(t *testing.T) {
	t.Parallel()
	var s series
	for i := range 3 * maxSeries {
		s.of(facts{tenant: fmt.Sprint(i)})
		assert.LessOrEqual(t, len(s.known), maxSeries)
	}
}

// A change of one tenant's routes does not wait until the series of all others are collected.
func TestRoutesChangeWhileSeriesAreCollected(t *testing.T) {
	t.Parallel()
	s, err := newRouteSeries(noop.Meter{}, true)
	require.NoError(t, err)
	s.off = false
	route := func(name string) dispatcher.RouteChange {
		return dispatcher.RouteChange{Set: []dispatcher.Route{{Tenant: "a", Name: name}}}
	}
	for _, name := range []string{"1", "2"} {
		s.changed(route(name))
		s.count(dispatcher.RouteID{Tenant: "a", Name: name}, sentMessages, facts{})
	}
	seen := 0
	for range s.each {
		changed := make(chan struct{})
		go func() {
			defer close(changed)
			s.changed(route("3"))
		}()
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
			t.Fatal("it waits")
		}
		seen++
	}
	assert.Equal(t, 2, seen)
}
