package notice

import (
	"encoding/json"

	"github.com/tocsin-go/tocsin/event"
)

func ofAlert(e event.Event) (Notice, bool) {
	var a event.Alert
	if json.Unmarshal(e.Data(), &a) != nil {
		return Notice{}, false
	}
	about := name(a.AlertTitle, a.EventDescription, a.Description, a.AlertID)
	n := Notice{Link: link(a.SourceURL), LinkText: "Open affected object"}
	switch e.Type() {
	case event.TypeAlertOpened:
		n.Severity, n.Phase, n.Status = urgency(a.Priority), Opens, "Open"
		n.Title = headed(phrase(name(string(a.Priority), "New"), "alert"), about)
	case event.TypeAlertAcknowledged:
		n.Severity, n.Phase, n.Status = urgency(a.Priority), Updates, "Acknowledged"
		n.Title = headed("Alert acknowledged", about)
	case event.TypeAlertResolved:
		n.Phase, n.Status = Closes, "Resolved"
		n.Title = headed("Alert resolved", about)
	case event.TypeAlertAutoResolved:
		n.Phase, n.Status = Closes, "Auto-resolved"
		n.Title = headed("Alert resolved by itself", about)
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
	n.add("Found on", phrase(line(a.SourceName, maxValue), inBrackets(a.SourceType)))
	n.addTime("Occurred", a.OccurredAt.Time)
	n.add("Previous status", string(a.PreviousStatus))
	n.addLong("Rule", a.Description)
	n.add("Category", a.Category)
	n.add("Directory event", a.DIEvent)
	n.add("Alert", a.AlertID)
	return n, true
}

// urgency maps priorities; one that is not known is worth a look.
func urgency(p event.AlertPriority) Severity {
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
