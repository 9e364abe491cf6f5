package oteldispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/tocsin-go/tocsin/dispatcher"
)

// counted is one of the counters by route.
type counted int

const (
	sentMessages counted = iota
	consumedMessages
	settledDeliveries
	counters
	recorded // no counter: the options of a histogram
)

// routeSeries counts by route, for observable counters: those of routes that were removed are no longer reported, and
// nothing of them is kept. An instrument that is recorded at once would keep each series for ever.
type routeSeries struct {
	tenants bool
	off     bool // nobody collects

	mu      sync.RWMutex
	known   bool                                // an Observer says which routes there are; otherwise those with a job
	inForce map[dispatcher.RouteID]*routeCounts // by route
	names   map[dispatcher.RouteID]*routeCounts // by exported attributes: without tenants several routes share them
}

// routeCounts are the series of the routes with the same attributes.
type routeCounts struct {
	routes int // that have them; guarded by routeSeries.mu

	mu     sync.RWMutex
	series map[routeSeriesKey]*routePoint
}

type routeSeriesKey struct {
	of    counted
	facts facts
}

type routePoint struct {
	n       atomic.Int64
	set     metric.MeasurementOption
	options []metric.RecordOption // the same
}

func newRouteSeries(m metric.Meter, tenants bool) (*routeSeries, error) {
	_, off := m.(noop.Meter)
	s := &routeSeries{tenants: tenants, off: off, inForce: map[dispatcher.RouteID]*routeCounts{}, names: map[dispatcher.RouteID]*routeCounts{}}
	sent, consumed := messagingconv.ClientSentMessages{}, messagingconv.ClientConsumedMessages{}
	var errs [counters]error
	for of, about := range [counters]struct{ name, unit, description string }{
		sentMessages:      {sent.Name(), sent.Unit(), sent.Description()},
		consumedMessages:  {consumed.Name(), consumed.Unit(), consumed.Description()},
		settledDeliveries: {"tocsin.settled", "{delivery}", "Number of deliveries that ended."},
	} {
		_, errs[of] = m.Int64ObservableCounter(about.name, metric.WithUnit(about.unit), metric.WithDescription(about.description),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				for key, p := range s.each {
					if key.of == counted(of) {
						o.Observe(p.n.Load(), p.set)
					}
				}
				return nil
			}))
	}
	return s, errors.Join(errs[:]...)
}

// each yields all series. Neither changes of routes nor attempts wait for it.
func (s *routeSeries) each(yield func(routeSeriesKey, *routePoint) bool) {
	s.mu.RLock()
	all := slices.Collect(maps.Values(s.names))
	s.mu.RUnlock()
	for _, c := range all {
		if !c.each(yield) {
			return
		}
	}
}

func (c *routeCounts) each(yield func(routeSeriesKey, *routePoint) bool) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for key, p := range c.series {
		if !yield(key, p) {
			return false
		}
	}
	return true
}

// changed takes over a change of the routes in force.
func (s *routeSeries) changed(change dispatcher.RouteChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = true
	for _, id := range change.Removed {
		c := s.inForce[id]
		if c == nil {
			continue
		}
		delete(s.inForce, id)
		if c.routes--; c.routes == 0 {
			delete(s.names, s.exported(id))
		}
	}
	for _, r := range change.Set {
		s.add(r.ID())
	}
}

// exported is what of a route's identity is exported.
func (s *routeSeries) exported(id dispatcher.RouteID) dispatcher.RouteID {
	if !s.tenants {
		id.Tenant = ""
	}
	return id
}

// add adds a route, if it is not there. Called with s locked.
func (s *routeSeries) add(id dispatcher.RouteID) *routeCounts {
	if c := s.inForce[id]; c != nil {
		return c
	}
	name := s.exported(id)
	c := s.names[name]
	if c == nil {
		c = &routeCounts{series: map[routeSeriesKey]*routePoint{}}
		s.names[name] = c
	}
	c.routes++
	s.inForce[id] = c
	return c
}

// of returns what counts for a route; nil = it was removed.
func (s *routeSeries) of(id dispatcher.RouteID) *routeCounts {
	s.mu.RLock()
	c, known := s.inForce[id], s.known
	s.mu.RUnlock()
	if c != nil || known {
		return c
	}
	return s.keep(id)
}

// keep adds a route that nobody removes: a lane of the library's own, or any as long as nobody says which there are.
func (s *routeSeries) keep(id dispatcher.RouteID) *routeCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(id)
}

// count counts something that happened to a route. What is heard of a removed one is not counted.
func (s *routeSeries) count(id dispatcher.RouteID, of counted, f facts) {
	if s.off {
		return
	}
	if c := s.of(id); c != nil {
		c.point(routeSeriesKey{of, f}).n.Add(1)
	}
}

// options returns the options with which f of a route is recorded.
func (s *routeSeries) options(id dispatcher.RouteID, f facts) []metric.RecordOption {
	if c := s.of(id); c != nil {
		return c.point(routeSeriesKey{recorded, f}).options
	}
	return []metric.RecordOption{metric.WithAttributeSet(f.set())}
}

// point returns a series, a new one if need be.
func (c *routeCounts) point(key routeSeriesKey) *routePoint {
	c.mu.RLock()
	p := c.series[key]
	c.mu.RUnlock()
	if p != nil {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.series[key]; p != nil {
		return p
	}
	set := metric.WithAttributeSet(key.facts.set())
	p = &routePoint{set: set, options: []metric.RecordOption{set}}
	c.series[key] = p
	return p
}
