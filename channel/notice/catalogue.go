package notice

import (
	"encoding/json"
	"strconv"

	"github.com/tocsin-go/tocsin/event"
)

func alertNotice(e event.Event) (Notice, bool) {
	var a event.Alert
	if json.Unmarshal(e.Data(), &a) != nil {
		return Notice{}, false
	}
	about := name(a.AlertTitle, a.EventDescription, a.Description, a.AlertID)
	n := Notice{Link: link(a.SourceURL), LinkText: "Open affected object"}
	switch e.Type() {
	case event.TypeAlertOpened:
		n.Severity, n.Phase, n.Status = severityOf(a.Priority), Opens, "Open"
		n.Title = withHeading(phrase(name(string(a.Priority), "New"), "alert"), about)
	case event.TypeAlertAcknowledged:
		n.Severity, n.Phase, n.Status = severityOf(a.Priority), Updates, "Acknowledged"
		n.Title = withHeading("Alert acknowledged", about)
	case event.TypeAlertResolved:
		n.Phase, n.Status = Closes, "Resolved"
		n.Title = withHeading("Alert resolved", about)
	case event.TypeAlertAutoResolved:
		n.Phase, n.Status = Closes, "Auto-resolved"
		n.Title = withHeading("Alert resolved by itself", about)
	default:
		return Notice{}, false
	}
	happened := line(a.EventDescription, maxSummary)
	if happened == "" {
		happened = n.Title
	}
	n.Summary = sentence(happened)
	n.add("Priority", string(a.Priority))
	n.addLong("What happened", a.EventDescription)
	n.add("Initiated by", a.InitiatedBy)
	n.add("Found on", phrase(line(a.SourceName, maxValue), parenthesised(a.SourceType)))
	n.addTime("Occurred", a.OccurredAt.Time)
	n.add("Previous status", string(a.PreviousStatus))
	n.addLong("Rule", a.Description)
	n.add("Category", a.Category)
	n.add("Directory event", a.DIEvent)
	n.add("Alert", a.AlertID)
	return n, true
}

// severityOf maps priorities; an unknown one is a warning.
func severityOf(p event.AlertPriority) Severity {
	switch p {
	case event.PriorityCritical:
		return Critical
	case event.PriorityHigh:
		return Error
	case event.PriorityLow:
		return Info
	default:
		return Warning
	}
}

// application is the data of either application access event.
type application struct {
	event.ApplicationAccess
	Decision       event.Decision `json:"decision"`
	DecidedBy      event.Person   `json:"decided_by"`
	DecisionReason string         `json:"decision_reason"`
}

func applicationNotice(e event.Event) (Notice, bool) {
	var a application
	if json.Unmarshal(e.Data(), &a) != nil {
		return Notice{}, false
	}
	who := orSomebody(name(a.User))
	program := name(a.ProductDescription, a.COMDisplayName, a.FilePathObjectID)
	if program == "" {
		program = "an application"
	}
	on := before("on", name(a.HostName))
	n := Notice{}
	switch e.Type() {
	case event.TypeApplicationAccessRequested:
		n.Severity, n.Phase, n.Status = Warning, Opens, "Pending"
		n.Title = phrase(who, "asks to run", program, on)
		n.Summary = withReason(n.Title, line(a.Reason, maxSummary))
	case event.TypeApplicationAccessDecided:
		n.Phase, n.Status = Closes, name(string(a.Decision), "Decided")
		n.Title = withHeading(n.Status, phrase(who, "asked to run", program, on))
		n.Summary = withReason(withAside(n.Title, "decided by "+name(nameOf(a.DecidedBy), "a rule")), line(a.DecisionReason, maxSummary))
		if a.Decision != event.DecisionApproved {
			n.Severity = Warning
		}
	default:
		return Notice{}, false
	}
	n.add("User", a.User)
	n.add("Computer", a.HostName)
	n.add("Application", program)
	n.add("Action", a.Action)
	n.addLong("Reason", a.Reason)
	n.add("Decided by", contact(a.DecidedBy))
	n.addLong("Decision reason", a.DecisionReason)
	n.add("File", a.FilePathObjectID)
	n.add("Kind", a.ApplicationType)
	// As text, not as the link: nobody should be invited to click where unknown software comes from.
	n.add("Downloaded from", a.DownloadSourceURL)
	n.add("SHA-1", a.SHA1Hash)
	n.add("Token", a.Token)
	n.add("Workstyle", a.Workstyle)
	n.add("Request", a.RequestID)
	return n, true
}

func sessionNotice(e event.Event) (Notice, bool) {
	var s event.Session
	if json.Unmarshal(e.Data(), &s) != nil {
		return Notice{}, false
	}
	who := orSomebody(name(s.DisplayName, s.Username, s.UserID))
	about := name(s.ConferenceName, s.ExternalKey, s.ConferenceID, s.LSID)
	key := ""
	if k := name(s.ExternalKey); k != "" && k != about {
		key = "for " + k
	}
	n := Notice{Phase: Updates}
	switch e.Type() {
	case event.TypeSessionStarted:
		n.Phase, n.Status = Opens, "Started"
		n.Title = withHeading("Session started", about)
		n.Summary = sentence(withHeading(phrase(who, "began a session", key), about))
	case event.TypeSessionEnded:
		n.Phase, n.Status = Closes, "Ended"
		n.Title = withHeading("Session ended", about)
		n.Summary = sentence(withHeading(phrase(who, "ended a session", key), about))
	case event.TypeSessionMemberJoined:
		n.Status = "Joined"
		n.Title = withHeading(phrase(who, "joined a session"), about)
		n.Summary = sentence(withHeading(phrase(who, "joined a session", key), about))
	case event.TypeSessionMemberLeft:
		n.Status = "Left"
		n.Title = withHeading(phrase(who, "left a session"), about)
		n.Summary = sentence(withHeading(phrase(who, "left a session", key), about))
	default:
		return Notice{}, false
	}
	n.add("Who", name(s.DisplayName))
	n.add("User", name(s.Username, s.UserID))
	n.add("Role", s.Type)
	n.add("Session", s.ConferenceName)
	n.add("Ticket", s.ExternalKey)
	n.add("Session id", name(s.LSID, s.ConferenceID))
	n.add("Appliance", s.ApplianceID)
	return n, true
}

// withHeading is "head: text".
func withHeading(head, text string) string {
	if head == "" || text == "" {
		return head + text
	}
	return head + ": " + text
}

// routeEvent is the data of any of the library's own events.
type routeEvent struct {
	event.RouteFailure
	DeliveryID string `json:"delivery_id"`
	Reason     string `json:"reason"`
	Untried    bool   `json:"untried"`
}

func routeNotice(e event.Event) (Notice, bool) {
	var r routeEvent
	if json.Unmarshal(e.Data(), &r) != nil {
		return Notice{}, false
	}
	route := name(r.Route, "a route")
	n := Notice{Severity: Error}
	switch e.Type() {
	case event.TypeChannelFailing:
		n.Phase, n.Status = Opens, "Failing"
		n.Title = phrase("Notifications to", route, "are failing")
		n.Summary = withReason(phrase("Nothing has reached", route, before("since", instant(r.Since.Time))), line(r.LastError, maxSummary))
	case event.TypeChannelRecovered:
		n.Severity, n.Phase, n.Status = Info, Closes, "Recovered"
		n.Title = phrase("Notifications to", route, "work again")
		n.Summary = sentence(route, "takes notifications again", before("after failures since", instant(r.Since.Time)))
		if r.Untried {
			n.Title = phrase("Notifications to", route, "no longer fail")
			n.Summary = sentence("Nothing waits for", route, "any more", before("after failures since", instant(r.Since.Time)))
		}
	case event.TypeChannelDisabled:
		n.Phase, n.Status = Opens, "Disabled"
		n.Title = phrase("Notifications to", route, "are switched off")
		n.Summary = withReason(phrase(route, "gets no notifications any more"), line(r.Reason, maxSummary))
	case event.TypeDeliveryDead:
		// A later success of the route does not bring the delivery back, so it is not about the state of the route.
		n.Phase, n.Status = Standalone, "Dead"
		n.Title = phrase("A notification to", route, "was not delivered")
		n.Summary = withReason(phrase(name(string(r.FailedType), "An event"), "did not reach", route), line(r.Reason, maxSummary))
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
