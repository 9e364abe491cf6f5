// Package health turns failures of routes into events: "this route has been failing for ten minutes", again every hour,
// "it delivers again". They are ordinary events of package event (ChannelFailing, ChannelRecovered, ChannelDisabled and
// DeliveryDead) and go to the routes whose filter names them, such as a mail route with event.Types("tocsin.*"), but
// never to the route they are about.
//
//	monitor := health.New(health.Options{Alert: health.Alert{After: 10 * time.Minute}})
//	observers := []dispatcher.Observer{monitor.Observer()}
//	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Observers: observers})
//	go engine.Run(ctx)
//	go monitor.Run(ctx, engine)
package health

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Monitor watches an Engine's attempts. Make it with New; all methods are safe for concurrent use. It watches one
// Engine in its lifetime.
//
// A route is failing from the first failed attempt after a success on; postponed attempts and suppressed duplicates say
// nothing. Routes that the host disabled or paused are not reported while they are. A route that is removed is
// forgotten, and so is a failure that was not reported yet when the route gets another Channel. Nothing is remembered
// across a restart: a failure that lasts is reported anew.
//
// An event about a route has the route's tenant, so it goes to routes of that tenant and to those of AnyTenant; one
// about a route of AnyTenant has no tenant. Up to 1,000 events wait for a Dispatcher that does not take them, and
// beyond that 10 of each tenant; others are lost, which is logged. What a change of routes costs does not depend on how
// many routes it leaves as they are.
type Monitor struct {
	log  *slog.Logger
	wake chan struct{} // makes Run check what is due

	index  sync.RWMutex // of routes; taken with mu held, or alone
	routes map[dispatcher.RouteID]*condition

	mu      sync.Mutex
	alert   Alert                                   // of routes that are not in alerts
	alerts  map[string]map[dispatcher.RouteID]Alert // by tenant
	failing map[*condition]struct{}                 // routes that are
	nextDue time.Time                               // when Run checks by itself; zero = it does not
	outbox  []event.Event
	posted  map[string]int // events in the outbox by their tenant
	lost    int            // events that the outbox had no room for, so far
	logged  int            // how many of them are logged
}

// New makes a Monitor. Its Observer has to be in the Engine's Config, and Run has to run, for anything to be reported.
func New(o Options) *Monitor {
	m := &Monitor{log: o.Logger, wake: make(chan struct{}, 1), alert: o.Alert, alerts: byTenant(o.Routes),
		routes: map[dispatcher.RouteID]*condition{}, failing: map[*condition]struct{}{}, posted: map[string]int{}}
	if m.log == nil {
		m.log = slog.Default()
	}
	return m
}

func byTenant(alerts map[dispatcher.RouteID]Alert) map[string]map[dispatcher.RouteID]Alert {
	all := map[string]map[dispatcher.RouteID]Alert{}
	for id, a := range alerts {
		if all[id.Tenant] == nil {
			all[id.Tenant] = map[dispatcher.RouteID]Alert{}
		}
		all[id.Tenant][id] = a
	}
	return all
}

// Set replaces Alert and Routes of the Monitor's Options, for example after a change of configuration. What was
// reported already counts: a failing route is not reported again for that.
func (m *Monitor) Set(all Alert, routes map[dispatcher.RouteID]Alert) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alert, m.alerts = all, byTenant(routes)
	for id, c := range m.routes { // changed with mu held only
		c.alert = m.alertOf(id)
	}
	m.signal()
}

// SetTenant replaces what Routes of the Monitor's Options says about one tenant's routes; alerts of other tenants' are
// ignored. It costs the same however many other tenants there are.
func (m *Monitor) SetTenant(tenant string, routes map[dispatcher.RouteID]Alert) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.alerts[tenant]
	if m.alerts[tenant] = byTenant(routes)[tenant]; m.alerts[tenant] == nil {
		delete(m.alerts, tenant)
	}
	for _, some := range [...]map[dispatcher.RouteID]Alert{before, m.alerts[tenant]} {
		for id := range some {
			if c := m.routes[id]; c != nil {
				c.alert = m.alertOf(id)
			}
		}
	}
	m.signal()
}

// alertOf returns what holds for a route. Called with m locked.
func (m *Monitor) alertOf(route dispatcher.RouteID) Alert {
	a, own := m.alerts[route.Tenant][route]
	if !own {
		a = m.alert
	}
	return a.withDefaults()
}

// Observer returns the functions that an Engine has to call. A success of a healthy route costs a look into a map.
func (m *Monitor) Observer() dispatcher.Observer {
	return dispatcher.Observer{RoutesChanged: m.changed, Attempted: m.attempted, Settled: m.settled, Disabled: m.disabled}
}

// changed takes over a change of the routes in force.
func (m *Monitor) changed(change dispatcher.RouteChange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index.Lock()
	defer m.index.Unlock()
	for _, id := range change.Removed {
		delete(m.failing, m.routes[id])
		delete(m.routes, id)
	}
	due := false
	for _, r := range change.Set {
		id := r.ID()
		if m.routes[id] == nil {
			m.routes[id] = &condition{id: id}
		}
		c := m.routes[id]
		c.apply(r, m.alertOf(id))
		due = due || c.failing.Load()
	}
	for _, id := range change.Retried {
		m.routes[id].disabled = false
	}
	for _, id := range change.Replaced {
		if m.routes[id].replace() {
			delete(m.failing, m.routes[id])
		}
	}
	if due {
		m.signal()
	}
}

// find returns a route; nil = it was removed. News about it can still come then.
func (m *Monitor) find(route dispatcher.RouteID) *condition {
	m.index.RLock()
	defer m.index.RUnlock()
	return m.routes[route]
}

// recover ends the failure of a route and reports that, if the failure was reported. Called with m locked.
func (m *Monitor) recover(c *condition, untried bool) {
	delete(m.failing, c)
	if was, reported := c.recovered(); reported {
		m.post(c, event.ChannelRecovered{RouteFailure: was, Untried: untried})
	}
}

func (m *Monitor) attempted(a dispatcher.Attempt) {
	c := m.find(a.Delivery.Route)
	if c == nil || a.Receipt.Skipped || a.Verdict == retry.VerdictPostponed || a.Verdict == retry.VerdictSuccess && !c.failing.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.routes[c.id] != c { // removed meanwhile
		return
	}
	if a.Verdict == retry.VerdictSuccess {
		m.recover(c, false)
		m.signal()
		return
	}
	c.fail(a)
	m.failing[c] = struct{}{}
	if due := c.due(); !due.IsZero() && (m.nextDue.IsZero() || due.Before(m.nextDue)) {
		m.signal()
	}
}

func (m *Monitor) disabled(d dispatcher.Disablement) {
	c := m.find(d.Route)
	if c == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.disabled, c.reported = true, true
	m.post(c, event.ChannelDisabled{RouteFailure: c.failure, Reason: d.Reason.Error()})
	m.signal()
}

func (m *Monitor) settled(s dispatcher.Settlement) {
	if s.Outcome != dispatcher.Dead {
		return
	}
	c := m.find(s.Delivery.Route)
	if c == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.alert.Dead && !isOwn(s.Delivery.Event.Type()) {
		m.post(c, deadEvent(c, s))
		m.signal()
	}
}

// isOwn reports whether t is one of the library's own events. A dead one is not reported: two routes for alerts that
// both fail would report each other without end.
func isOwn(t event.Type) bool {
	switch t {
	case event.TypeChannelFailing, event.TypeChannelRecovered, event.TypeChannelDisabled, event.TypeDeliveryDead:
		return true
	}
	return false
}

func deadEvent(c *condition, s dispatcher.Settlement) event.DeliveryDead {
	d := event.DeliveryDead{RouteFailure: c.failure, DeliveryID: s.Delivery.ID(), Reason: s.Reason}
	d.Route, d.FailedID, d.FailedType = c.id.Name, s.Delivery.Event.ID(), s.Delivery.Event.Type()
	d.LastError = ""
	if s.Err != nil {
		d.LastError = s.Err.Error()
	}
	return d
}

// report posts what is due about c. Called with m locked.
func (m *Monitor) report(c *condition, now time.Time, waiting map[dispatcher.RouteID]int) {
	n, counted := waiting[c.id]
	switch {
	case c.mayHaveRecovered() && counted && n == 0:
		m.recover(c, true)
	case c.lastReport.IsZero() || c.alert.Resend >= 0:
		m.post(c, c.report(now))
	default:
		c.lastWaiting = now
	}
}

// waiting counts the deliveries that wait for the routes that may have recovered, or are being sent; routes whose
// deliveries cannot be counted are left out.
func (m *Monitor) waiting(ctx context.Context, d dispatcher.Dispatcher, now time.Time) map[dispatcher.RouteID]int {
	engine, ok := d.(interface {
		Status(ctx context.Context, f dispatcher.StatusFilter) ([]dispatcher.RouteStatus, error)
	})
	if !ok {
		return nil
	}
	routes := m.mayHaveRecovered(now)
	if routes == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	found, err := engine.Status(ctx, dispatcher.StatusFilter{Routes: routes})
	if err != nil {
		m.log.Warn("tocsin: what waits for failing routes could not be counted", dispatcher.AttrError, err)
	}
	waiting := map[dispatcher.RouteID]int{}
	for _, r := range found {
		if r.Queued >= 0 && r.InFlight >= 0 {
			waiting[r.Route] = r.Queued + r.InFlight
		}
	}
	return waiting
}

// countTimeout bounds counting, which Run waits for.
const countTimeout = 5 * time.Second

// mayHaveRecovered lists the routes that are to be reported as failing, unless they have recovered.
func (m *Monitor) mayHaveRecovered(now time.Time) (routes []dispatcher.RouteID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.failing {
		if due := c.due(); !due.IsZero() && !due.After(now) && c.mayHaveRecovered() {
			routes = append(routes, c.id)
		}
	}
	return routes
}

// signal makes Run check what is due. Called with m locked, or not.
func (m *Monitor) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run dispatches what there is to report until ctx is done, then it returns ctx's cause, or until the Dispatcher is
// shut down, then nil. What cannot be dispatched is logged and tried again within ten seconds, except that a lane
// without room is passed over: the others have it.
func (m *Monitor) Run(ctx context.Context, d dispatcher.Dispatcher) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		case <-m.wake:
		}
		next := m.postDue(ctx, d, time.Now())
		again, err := m.send(ctx, d)
		if errors.Is(err, dispatcher.ErrShutdown) {
			return nil
		}
		if again && (next.IsZero() || time.Until(next) > outboxPause) {
			next = time.Now().Add(outboxPause)
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// postDue posts what is due and returns when something is due next; zero = nothing is.
func (m *Monitor) postDue(ctx context.Context, d dispatcher.Dispatcher, now time.Time) time.Time {
	waiting := m.waiting(ctx, d, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nextDue = time.Time{}
	for c := range m.failing {
		due := c.due()
		if !due.IsZero() && !due.After(now) {
			m.report(c, now, waiting)
			due = c.due()
		}
		if !due.IsZero() && (m.nextDue.IsZero() || due.Before(m.nextDue)) {
			m.nextDue = due
		}
	}
	return m.nextDue
}

const (
	maxOutbox   = 1000             // events that wait to be dispatched
	ownOutbox   = 10               // of a tenant, for which there is room also when others have filled the outbox
	outboxPause = 10 * time.Second // until those that could not be are tried again
)

// post puts an event about c into the outbox, for Run to dispatch next. Called with m locked.
func (m *Monitor) post(c *condition, p event.Payload) {
	if len(m.outbox) >= maxOutbox && m.posted[c.tenant] >= ownOutbox {
		m.lost++
		return
	}
	e, err := event.New(p, event.Meta{Tenant: c.tenant, Subject: c.id.String()})
	if err != nil { // the texts are those of errors, and names were checked, so this does not happen
		m.log.Error("tocsin: an alert could not be made", dispatcher.AttrRoute, c.id.Name, dispatcher.AttrTenant, c.id.Tenant, dispatcher.AttrError, err)
		return
	}
	m.outbox = append(m.outbox, e)
	m.posted[c.tenant]++
}

// send dispatches what is in the outbox, each event for itself. It reports whether something has to be tried again, or
// why nothing can be dispatched any more.
func (m *Monitor) send(ctx context.Context, d dispatcher.Dispatcher) (again bool, err error) {
	m.mu.Lock()
	all, lost, more := m.outbox, m.lost, m.lost > m.logged
	m.outbox, m.posted, m.logged = nil, map[string]int{}, lost
	m.mu.Unlock()
	if more {
		m.log.Warn("tocsin: alerts were lost: too many waited", dispatcher.AttrLost, lost)
	}
	var kept []event.Event
	for _, e := range all {
		err := d.Dispatch(ctx, e)
		if err == nil {
			continue
		}
		if errors.Is(err, dispatcher.ErrShutdown) {
			return false, err
		}
		about := channel.ParseRouteID(e.Subject())
		m.log.Warn("tocsin: an alert could not be dispatched", dispatcher.AttrEventID, e.ID(), dispatcher.AttrEventType, string(e.Type()),
			dispatcher.AttrRoute, about.Name, dispatcher.AttrTenant, about.Tenant, dispatcher.AttrError, err)
		if _, full := errors.AsType[*dispatcher.BacklogError](err); !full {
			kept = append(kept, e)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outbox = append(kept, m.outbox...)
	for _, e := range kept {
		m.posted[e.Tenant()]++
	}
	return len(kept) > 0, nil
}
