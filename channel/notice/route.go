package notice

import (
	"encoding/json"
	"strconv"

	"github.com/tocsin-go/tocsin/event"
)

// routeNews is the data of any of the library's own events.
type routeNews struct {
	event.RouteFailure
	DeliveryID string `json:"delivery_id"`
	Reason     string `json:"reason"`
	Untried    bool   `json:"untried"`
}

func ofRoute(e event.Event) (Notice, bool) {
	var r routeNews
	if json.Unmarshal(e.Data(), &r) != nil {
		return Notice{}, false
	}
	route := name(r.Route, "a route")
	n := Notice{Severity: Error}
	switch e.Type() {
	case event.TypeChannelFailing:
		n.Phase, n.Status = Opens, "Failing"
		n.Title = phrase("Notifications to", route, "are failing")
		n.Summary = because(phrase("Nothing has reached", route, until("since", r.Since)), line(r.LastError, maxSummary))
	case event.TypeChannelRecovered:
		n.Severity, n.Phase, n.Status = Info, Closes, "Recovered"
		n.Title = phrase("Notifications to", route, "work again")
		n.Summary = sentence(route, "takes notifications again", until("after failures since", r.Since))
		if r.Untried {
			n.Title = phrase("Notifications to", route, "fail no more")
			n.Summary = sentence("Nothing waits for", route, "any more", until("after failures since", r.Since))
		}
	case event.TypeChannelDisabled:
		n.Phase, n.Status = Opens, "Disabled"
		n.Title = phrase("Notifications to", route, "are switched off")
		n.Summary = because(phrase(route, "gets no notifications any more"), line(r.Reason, maxSummary))
	case event.TypeDeliveryDead:
		// A later success of the route does not bring the delivery back, so it is no part of the route's story.
		n.Phase, n.Status = Standalone, "Given up"
		n.Title = phrase("A notification to", route, "was given up")
		n.Summary = because(phrase(name(string(r.FailedType), "An event"), "did not reach", route), line(r.Reason, maxSummary))
	default:
		return Notice{}, false
	}
	n.add("Route", r.Route)
	n.addLong("Reason", r.Reason)
	n.addLong("Last error", r.LastError)
	n.addTime("Failing since", r.Since.Time)
	if r.Attempts > 0 {
		n.add("Failed attempts", strconv.Itoa(r.Attempts))
	}
	n.add("Event", phrase(string(r.FailedType), r.FailedID))
	n.add("Delivery", r.DeliveryID)
	return n, true
}
