package dispatcher

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// AnyTenant as a route's Tenant takes the events of the whole platform.
const AnyTenant = channel.AnyTenant

// RouteID identifies a route by its tenant and its name. Its String is the name of the route's lane in the queue.
type RouteID = channel.RouteID

// Route says which events go to a channel, and how. Name and Channel are required; the zero value of every other field
// is its default.
//
// A change of routes touches only those that differ from the ones in force (SetRoutes). Two routes are equal when all
// their fields are, defaults filled in. Channel is compared by ==, and one that is not comparable differs from itself.
// Events is compared by event.Filter.Equal, and Retry by its values and those in its slices, but not by what pointers
// or maps lead to. A function differs from itself, so a route that has Use, or a function in Dedup, differs in each
// change. The slices of a route are not to be modified once an Engine has it.
type Route struct {
	// Name identifies the route among those of its Tenant: 1 to 100 characters, no control characters, not beginning
	// with "tocsin.".
	Name    string
	Channel channel.Channel
	// Tenant is whose events the route takes: "" = only events without a tenant, AnyTenant = all. It is checked before
	// Events, so an empty filter never crosses tenants. RouteID.String has at most 255 characters, none of them a
	// control character.
	Tenant string
	Events event.Filter // zero = every lifecycle event
	// Retry decides about attempts after a transient failure; nil = exponential from 1 s to 15 min until MaxAge, so a
	// receiver that is down for an hour loses nothing. A policy that panics counts as nil. The time limit of one that
	// has one (retry.Within, retry.Fixed.For) is looked at before each attempt: one that was delayed past it is not
	// made.
	Retry       retry.Policy
	Timeout     time.Duration // bounds one attempt through its context; 0 = 30 s, negative = none
	Concurrency int           // attempts at a time; 0 = 4; always 1 with Strict
	Order       Order         // of events dispatched from now on; zero = Parallel
	// Dedup suppresses identical deliveries within a window; zero = off. Its store is Config.DedupStore. A Key function
	// of its own is asked within the tenant and the route, so it cannot suppress what another route or tenant gets.
	Dedup   channel.DedupOptions
	Rate    Rate    // zero = unlimited
	Backlog Backlog // zero = what the queue does by itself
	// DeadLetters bounds the dead letters that are kept of the route; zero = what the queue does by itself.
	DeadLetters DeadLetterLimit
	// MaxAge is how long after it was dispatched an event is still worth delivering; negative = forever. 0 = 24 h, or
	// what Retry needs to run to its end, if that is known (retry.Span), and a quarter and an hour more. One that is
	// set and too short for Retry is a mistake. Older deliveries are dead: nobody wants yesterday's approvals after an
	// outage. No pause that a receiver or a channel asks for costs the delivery: such a pause is cut so that an attempt
	// still fits.
	//
	// The age of what this Engine accepted is not changed by setting the machine's clock. That of what a durable queue
	// has from an earlier run, or another process, goes by the wall clocks of both: it is wrong by as much as they are.
	MaxAge time.Duration
	State  State // zero = Enabled
	// Protect says what happens to the route when it keeps failing, and to dead deliveries; zero = a breaker with
	// defaults.
	Protect Protection
	// Use wraps the channel; the first is the outermost. It runs inside Dedup and Timeout.
	Use []channel.Middleware
}

// Order says which deliveries of a route wait for each other.
type Order uint8

const (
	Parallel  Order = iota // none; request.break_glass goes first, where the queue can (Properties.Urgency)
	BySubject              // events about the same subject of a tenant, in the order dispatched, also across retries
	Strict                 // all: a failing delivery holds up every later one (head of line)
)

// State says whether a route takes and sends.
type State uint8

const (
	Enabled  State = iota // takes events and sends
	Disabled              // takes no new events; what was queued is held
	Paused                // takes events, sends nothing
)

// String returns the state in lower case.
func (s State) String() string { return name(s, "enabled", "disabled", "paused") }

// String returns the order in lower case.
func (o Order) String() string { return name(o, "parallel", "by subject", "strict") }

// MarshalText returns the state as documents name it: enabled, disabled or paused.
func (s State) MarshalText() ([]byte, error) { return marshalName(s) }

// UnmarshalText reads what MarshalText returns.
func (s *State) UnmarshalText(text []byte) error { return unmarshalName(s, text, Paused) }

// MarshalText returns the order as documents name it: parallel, by_subject or strict.
func (o Order) MarshalText() ([]byte, error) { return marshalName(o) }

// UnmarshalText reads what MarshalText returns.
func (o *Order) UnmarshalText(text []byte) error { return unmarshalName(o, text, Strict) }

func marshalName(v fmt.Stringer) ([]byte, error) {
	return []byte(strings.ReplaceAll(v.String(), " ", "_")), nil
}

// unmarshalName sets v to the one of its values up to the last whose name the text is.
func unmarshalName[T interface {
	~uint8
	fmt.Stringer
}](v *T, text []byte, last T) error {
	var names []string
	for of := T(0); of <= last; of++ {
		known, _ := marshalName(of)
		if string(known) == string(text) {
			*v = of
			return nil
		}
		names = append(names, string(known))
	}
	return fmt.Errorf("%T has no value of that name; use one of %s", *v, strings.Join(names, ", "))
}

func name[T ~uint8](v T, names ...string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// Backlog bounds what waits in a lane. With a queue that cannot bound it (queue.Properties), one that is set is a
// *channel.ConfigError. See also Config.TenantBacklog.
type Backlog struct {
	Jobs     int // 0 = 10,000 in memory, and what the storage holds in a durable queue
	Overflow Overflow
}

// DeadLetterLimit bounds the dead letters of a lane. With a queue that cannot do so (queue.Properties), one that is set
// is a *channel.ConfigError.
type DeadLetterLimit struct {
	Count int           // with one more, the oldest goes; 0 = 1,000
	Age   time.Duration // how long one is kept, to the second; 0 = for ever, or as long as the queue is configured to
}

// Overflow says what gives way when a backlog is full.
type Overflow uint8

const (
	// RejectNew refuses the new event for this route: Dispatch returns a *BacklogError.
	RejectNew Overflow = iota
	// DropOldest drops the oldest waiting delivery, which becomes a dead letter. A request.break_glass event is never
	// dropped; a backlog full of them refuses.
	DropOldest
)

// Defaults of Route.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultConcurrency = 4
	DefaultMaxAge      = 24 * time.Hour
)

// ID returns the route's identity. Everything about the route goes by it, so that a name that two tenants use, or that
// passes from one to another, shares nothing.
func (r Route) ID() RouteID { return RouteID{Tenant: r.Tenant, Name: r.Name} }

func (r Route) withDefaults() Route {
	if r.Retry == nil {
		r.Retry = retry.Exponential{}
	}
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	if r.Concurrency == 0 {
		r.Concurrency = DefaultConcurrency
	}
	if r.MaxAge == 0 {
		r.MaxAge = DefaultMaxAge
		if span, ends := askPolicy(r.Retry, retry.Span); ends {
			r.MaxAge = max(r.MaxAge, sum(span, sum(span/4, time.Hour)))
		}
	}
	r.Protect.Breaker = r.Protect.Breaker.withDefaults()
	return r
}

// equal reports whether two routes, with their defaults, are the same for certain, as the comment of Route says.
func (r *Route) equal(o Route) bool {
	return r.Name == o.Name && r.Tenant == o.Tenant && r.Events.Equal(o.Events) && r.Timeout == o.Timeout &&
		r.Concurrency == o.Concurrency && r.Order == o.Order && r.Rate == o.Rate && r.Backlog == o.Backlog && r.DeadLetters == o.DeadLetters &&
		r.MaxAge == o.MaxAge && r.State == o.State && r.Protect == o.Protect &&
		sameValue(r.Channel, o.Channel) && sameContent(reflect.ValueOf(r.Retry), reflect.ValueOf(o.Retry)) &&
		sameDedup(r.Dedup, o.Dedup) && len(r.Use)+len(o.Use) == 0
}

// sameContent reports whether two values are equal, also where == cannot tell: in slices, whose elements are compared.
// Unlike reflect.DeepEqual it does not look at what pointers and maps lead to: a policy at work may be changing it.
func sameContent(a, b reflect.Value) bool {
	switch {
	case !a.IsValid() || !b.IsValid():
		return a.IsValid() == b.IsValid() // nil
	case a.Type() != b.Type():
		return false
	case a.Comparable() && b.Comparable():
		return a.Equal(b)
	}
	switch a.Kind() {
	case reflect.Interface:
		return sameContent(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameContent(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Array:
		for i := range a.Len() {
			if !sameContent(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		for i := range min(a.Len(), b.Len()) {
			if x, y := a.Index(i), b.Index(i); !x.Comparable() || !y.Comparable() || !x.Equal(y) { // or it is in itself
				return false
			}
		}
		return a.IsNil() == b.IsNil() && a.Len() == b.Len()
	case reflect.Map, reflect.Func:
		return a.IsNil() && b.IsNil()
	}
	return false
}

func sameDedup(a, b channel.DedupOptions) bool {
	return a.Window == b.Window && a.Lease == b.Lease && a.BreakGlass == b.BreakGlass && a.FailClosed == b.FailClosed &&
		a.Key == nil && b.Key == nil && a.OnStoreError == nil && b.OnStoreError == nil
}

// takes reports whether the route is for events of this tenant.
func (r *Route) takes(tenant string) bool { return r.Tenant == AnyTenant || r.Tenant == tenant }

// wants reports whether the route takes e, if it takes its tenant's.
func (r *Route) wants(e event.Event) bool { return r.Events.Match(e) && !r.isAbout(e) }

// isAbout reports whether e, one of the library's own events, is about this route, which then must not get it: the news
// that it fails would wait behind what fails, and fail too.
func (r *Route) isAbout(e event.Event) bool { return isOwn(e) && e.Subject() == r.ID().String() }

// isOwn reports whether e is one of the library's own events; their subject is the RouteID of the route they are about.
func isOwn(e event.Event) bool { return strings.HasPrefix(string(e.Type()), reservedPrefix) }

// mismatch says why the route cannot take e although it was named for it, and what to do; "" = it can.
func (r *Route) mismatch(e event.Event) string {
	switch {
	case !r.takes(e.Tenant()):
		return "is not for the event's tenant; choose one that is"
	case r.isAbout(e):
		return "is what the event is about; choose another one"
	case r.State == Disabled:
		return "is disabled; enable it first"
	}
	return ""
}

// job makes the delivery of e to this route, at that time.
func (r *activeRoute) job(e event.Event, generation int64, at time.Time) queue.Job {
	return queue.Job{Event: e, Lane: r.lane.name, OrderKey: r.orderKey(e), Generation: generation, Enqueued: at, Urgent: r.isUrgent(e)}
}

// isUrgent reports whether e goes before what waits already.
func (r *Route) isUrgent(e event.Event) bool { return r.Order == Parallel && isBreakGlass(e) }

const longestOrderKey = 255

// orderKey is equal for events that wait for each other. Two tenants may have subjects of one name.
func (r *Route) orderKey(e event.Event) string {
	switch r.Order {
	case BySubject:
		if e.Subject() == "" {
			return ""
		}
		return e.CorrelationID(longestOrderKey)
	case Strict:
		return "strict"
	case Parallel:
	}
	return ""
}
