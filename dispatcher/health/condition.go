package health

import (
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

// condition is how one route is doing. All but failing is guarded by the Monitor.
type condition struct {
	failing atomic.Bool // since is set; a success of a healthy route, the hot case, looks at nothing else

	id       dispatcher.RouteID
	tenant   string // of the events about it
	inactive bool   // disabled or paused by the host: nothing is reported
	alert    Alert
	failure  event.RouteFailure // Since is zero while it is healthy

	began       time.Time // as failure.Since, by the monotonic clock
	disabled    bool      // by the library, until its destination is another one or gets another try
	reported    bool      // so that its recovery is, too
	lastReport  time.Time // when it was last reported as failing; zero = it was not
	counted     int       // failed attempts up to then
	lastFailure time.Time // when the last attempt failed
	lastWaiting time.Time // when deliveries were last seen waiting for it
}

// apply takes over what a change of routes says.
func (c *condition) apply(r dispatcher.Route, a Alert) {
	c.alert = a
	c.inactive = r.State != dispatcher.Enabled
	c.tenant = r.Tenant
	if r.Tenant == dispatcher.AnyTenant {
		c.tenant = "" // the platform's own routes are no tenant's business
	}
}

// replace notes that the route has another destination. It reports whether that ends a failure: one that was reported
// ends with a success, which is reported too.
func (c *condition) replace() bool {
	c.disabled = false
	if c.reported {
		return false
	}
	c.recovered()
	return true
}

// fail counts a failed attempt.
func (c *condition) fail(a dispatcher.Attempt) {
	if !c.failing.Load() {
		c.failure = event.RouteFailure{Route: c.id.Name, Since: event.At(a.Began)}
		c.began = a.Began
		c.failing.Store(true)
	}
	c.failure.Attempts++
	c.failure.LastError = a.Err.Error()
	c.failure.FailedID, c.failure.FailedType = a.Delivery.Event.ID(), a.Delivery.Event.Type()
	c.lastFailure = a.Began.Add(a.Duration)
}

// recovered ends the failure. It returns what it was and whether that had been reported.
func (c *condition) recovered() (event.RouteFailure, bool) {
	was, reported := c.failure, c.reported && !c.alert.Off
	c.failing.Store(false)
	c.failure, c.reported, c.lastReport, c.counted = event.RouteFailure{}, false, time.Time{}, 0
	return was, reported
}

// due returns when to report it as failing next; zero = as things stand, never.
func (c *condition) due() time.Time {
	switch {
	case !c.failing.Load() || c.inactive || c.alert.Off:
		return time.Time{}
	case c.lastReport.IsZero():
		return c.began.Add(c.alert.After)
	case c.alert.Resend >= 0:
		return c.lastReport.Add(c.alert.Resend)
	case c.disabled:
		return time.Time{}
	}
	// It is not reported again, but its end is.
	return latest(c.lastReport, c.lastWaiting, c.lastFailure).Add(DefaultResend)
}

// mayHaveRecovered reports whether it may not be failing any more, because nothing was tried since the last report. It
// is then reported again only if something still waits for the route.
func (c *condition) mayHaveRecovered() bool {
	return !c.lastReport.IsZero() && !c.disabled && (c.failure.Attempts == c.counted || c.alert.Resend < 0)
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// report returns the event that it is failing, and counts the next pause from now.
func (c *condition) report(now time.Time) event.ChannelFailing {
	c.reported, c.lastReport, c.counted = true, now, c.failure.Attempts
	return event.ChannelFailing{RouteFailure: c.failure}
}
