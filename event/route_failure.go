package event

import "time"

// RouteFailure is what the library's own events say about a route that cannot deliver. A filter passes these events
// only when it names them (see [Filter]).
type RouteFailure struct {
	Route     string    `json:"route" doc:"Name of the route that cannot deliver."`
	Since     Timestamp `json:"since,omitzero" doc:"When the failures began, in epoch seconds."`
	Attempts  int       `json:"attempts" doc:"Failed attempts since then."`
	LastError string    `json:"last_error,omitempty" doc:"What the last failed attempt reported, without secrets."`
	// FailedID and FailedType are of the event that could not be delivered.
	FailedID   string `json:"event_id,omitempty" doc:"Id of the event that could not be delivered."`
	FailedType Type   `json:"event_type,omitempty" doc:"Type of that event."`
}

// EventSubject is the route's name. The library gives these events the route's tenant and name as one text instead
// (channel.RouteID), which all events about a route share.
func (f RouteFailure) EventSubject() string { return f.Route }

// ChannelFailing says that a route has been failing for a while; it is repeated while that lasts.
type ChannelFailing struct{ RouteFailure }

// ChannelRecovered says that a route which was reported as failing does not fail any more: it delivers again or, if
// Untried says so, nothing waits for it any more, so that whether it would deliver will show with the next event.
type ChannelRecovered struct {
	RouteFailure
	Untried bool `json:"untried,omitempty" doc:"No delivery has succeeded since: nothing waits for the route any more."`
}

// ChannelDisabled says that the library stopped using a route, for example because its destination is gone for good.
type ChannelDisabled struct {
	RouteFailure
	Reason string `json:"reason" doc:"Why it is not used any more."`
}

// DeliveryDead says that a delivery failed for good.
type DeliveryDead struct {
	RouteFailure
	DeliveryID string `json:"delivery_id" doc:"Id of the delivery, as the receiver would have seen it."`
	Reason     string `json:"reason" doc:"Why it failed for good, for example that all retries failed."`
}

// EventType is tocsin.channel_failing.
func (ChannelFailing) EventType() Type { return TypeChannelFailing }

// EventType is tocsin.channel_recovered.
func (ChannelRecovered) EventType() Type { return TypeChannelRecovered }

// EventType is tocsin.channel_disabled.
func (ChannelDisabled) EventType() Type { return TypeChannelDisabled }

// EventType is tocsin.delivery_dead.
func (DeliveryDead) EventType() Type { return TypeDeliveryDead }

func sampleRouteFailure(start time.Time) RouteFailure {
	return RouteFailure{
		Route:      "ticket-system",
		Since:      At(start.Add(time.Hour)),
		Attempts:   14,
		LastError:  "POST https://tickets.example.com: 503 Service Unavailable",
		FailedID:   "018af13c-9a5b-7c3e-b1d4-6f20e8a9c713",
		FailedType: TypeRequestApproved,
	}
}

func sampleChannelFailing(start time.Time) Payload { return ChannelFailing{sampleRouteFailure(start)} }

func sampleChannelRecovered(start time.Time) Payload {
	return ChannelRecovered{RouteFailure: sampleRouteFailure(start)}
}

func sampleChannelDisabled(start time.Time) Payload {
	f := sampleRouteFailure(start)
	f.LastError = "POST https://tickets.example.com: 410 Gone"
	return ChannelDisabled{RouteFailure: f, Reason: "the destination says that it is gone for good"}
}

func sampleDeliveryDead(start time.Time) Payload {
	return DeliveryDead{
		RouteFailure: sampleRouteFailure(start),
		DeliveryID:   "018af13c-9a5b-7c3e-b1d4-6f20e8a9c713-ticket-system",
		Reason:       "older than the route's maximum age of 24 hours",
	}
}
