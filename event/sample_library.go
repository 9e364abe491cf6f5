package event

import "time"

func sampleRouteFailure() RouteFailure {
	return RouteFailure{
		Route:      "ticket-system",
		Since:      sampleAt(time.Hour),
		Attempts:   14,
		LastError:  "POST https://tickets.example.com: 503 Service Unavailable",
		FailedID:   "018af13c-9a5b-7c3e-b1d4-6f20e8a9c713",
		FailedType: TypeRequestApproved,
	}
}

func sampleChannelFailing() Payload { return ChannelFailing{sampleRouteFailure()} }

func sampleChannelRecovered() Payload { return ChannelRecovered{RouteFailure: sampleRouteFailure()} }

func sampleChannelDisabled() Payload {
	f := sampleRouteFailure()
	f.LastError = "POST https://tickets.example.com: 410 Gone"
	return ChannelDisabled{RouteFailure: f, Reason: "the destination says that it is gone for good"}
}

func sampleDeliveryDead() Payload {
	return DeliveryDead{
		RouteFailure: sampleRouteFailure(),
		DeliveryID:   "018af13c-9a5b-7c3e-b1d4-6f20e8a9c713-ticket-system",
		Reason:       "older than the route's maximum age of 24 hours",
	}
}
