package notice

import (
	"encoding/json"

	"github.com/tocsin-go/tocsin/event"
)

// application is the data of either application access event.
type application struct {
	event.ApplicationAccess
	Decision       event.Decision `json:"decision"`
	DecidedBy      event.Person   `json:"decided_by"`
	DecisionReason string         `json:"decision_reason"`
}

func ofApplication(e event.Event) (Notice, bool) {
	var a application
	if json.Unmarshal(e.Data(), &a) != nil {
		return Notice{}, false
	}
	who := somebody(name(a.User))
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
		n.Summary = because(n.Title, line(a.Reason, maxSummary))
	case event.TypeApplicationAccessDecided:
		n.Phase, n.Status = Closes, name(string(a.Decision), "Decided")
		n.Title = headed(n.Status, phrase(who, "asked to run", program, on))
		n.Summary = because(enclosed(n.Title, "decided by "+name(nameOf(a.DecidedBy), "a rule")), line(a.DecisionReason, maxSummary))
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
