package notice

import (
	"encoding/json"

	"github.com/tocsin-go/tocsin/event"
)

func ofSession(e event.Event) (Notice, bool) {
	var s event.Session
	if json.Unmarshal(e.Data(), &s) != nil {
		return Notice{}, false
	}
	who := somebody(name(s.DisplayName, s.Username, s.UserID))
	about := name(s.ConferenceName, s.ExternalKey, s.ConferenceID, s.LSID)
	key := ""
	if k := name(s.ExternalKey); k != "" && k != about {
		key = "for " + k
	}
	n := Notice{Phase: Updates}
	switch e.Type() {
	case event.TypeSessionStarted:
		n.Phase, n.Status = Opens, "Started"
		n.Title = headed("Session started", about)
		n.Summary = sentence(headed(phrase(who, "began a session", key), about))
	case event.TypeSessionEnded:
		n.Phase, n.Status = Closes, "Ended"
		n.Title = headed("Session ended", about)
		n.Summary = sentence(headed(phrase(who, "ended a session", key), about))
	case event.TypeSessionMemberJoined:
		n.Status = "Joined"
		n.Title = headed(phrase(who, "joined a session"), about)
		n.Summary = sentence(headed(phrase(who, "joined a session", key), about))
	case event.TypeSessionMemberLeft:
		n.Status = "Left"
		n.Title = headed(phrase(who, "left a session"), about)
		n.Summary = sentence(headed(phrase(who, "left a session", key), about))
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

// headed is "head: text".
func headed(head, text string) string {
	if head == "" || text == "" {
		return head + text
	}
	return head + ": " + text
}
