package notice

import (
	"encoding/json"

	"github.com/tocsin-go/tocsin/event"
)

// access is the data of any request or grant event.
type access struct {
	event.AccessRequest
	Granted   event.Granted `json:"grant"`
	RevokedBy event.Person  `json:"revoked_by"`
	Reason    string        `json:"reason"`
	Failure   string        `json:"failure"`
}

func ofAccess(e event.Event) (Notice, bool) {
	var a access
	if json.Unmarshal(e.Data(), &a) != nil {
		return Notice{}, false
	}
	n := Notice{Link: link(a.URL), LinkText: "Open request"}
	if !a.tell(&n, e.Type()) {
		return Notice{}, false
	}
	a.describe(&n, e.Type())
	return n, true
}

// tell says what happened.
func (a access) tell(n *Notice, t event.Type) bool {
	who, gets := somebody(nameOf(a.Requester)), a.grantee()
	ref := name(a.FriendlyID, a.ID)
	request, grant := phrase("Access request", ref), "Access of "+gets
	aside := ""
	if ref != "" {
		aside = "(" + ref + ")"
	}
	what, forWhom := a.what(), ""
	if gets != who && a.Grantee.Name != "" {
		forWhom = "for " + gets
	}
	long := before("for", duration(a.AccessDurationInSeconds))
	end := a.end()
	why := line(a.Justification, maxSummary)
	decided := before("approved by", among(a.deciders(event.ApprovalApproved), 3, "and"))

	switch t {
	case event.TypeRequestPending:
		n.Severity, n.Phase, n.Status = Warning, Opens, "Pending"
		n.Title = phrase(request, "waits for approval")
		n.Summary = because(phrase(who, "asks for", what, forWhom, long), why)
	case event.TypeRequestApproved:
		n.Phase, n.Status = Updates, "Approved"
		n.Title = phrase(request, "is approved")
		n.Summary = sentence(enclosed(phrase(gets, "may have", what, until("until", end)), decided))
	case event.TypeRequestDenied:
		n.Severity, n.Phase, n.Status = Warning, Closes, "Denied"
		n.Title = phrase(request, "is denied")
		by := before("by", among(a.deciders(event.ApprovalRejected), 3, "and"))
		n.Summary = because(phrase(who, "asked for", what, forWhom, "and was turned down", by), line(a.Reason, maxSummary))
	case event.TypeRequestExpired:
		n.Severity, n.Phase, n.Status = Warning, Closes, "Expired"
		n.Title = phrase(request, "expired without a decision")
		n.Summary = sentence(who, "asked for", what, forWhom, "and nobody decided in time")
	case event.TypeRequestBreakGlass:
		n.Severity, n.Phase, n.Status = Critical, Opens, "Break glass"
		n.Title = phrase(who, "took break-glass access", aside)
		n.Summary = because(phrase(who, "took", what, forWhom, "without waiting for approval", until("until", end)), why)
	case event.TypeGrantActive:
		n.Phase, n.Status = Updates, "Active"
		n.Title = phrase(grant, "is active", aside)
		n.Summary = sentence(gets, "has", what, until("until", end))
	case event.TypeGrantExpiringSoon:
		n.Severity, n.Phase, n.Status = Warning, Updates, "Expiring soon"
		n.Title = phrase(grant, "ends soon", aside)
		n.Summary = sentence(gets, "has", what, until("until", end), "only")
	case event.TypeGrantExpired:
		n.Phase, n.Status = Closes, "Expired"
		n.Title = phrase(grant, "has ended", aside)
		n.Summary = sentence(gets, "had", what, until("until", end))
	case event.TypeGrantRevoked:
		n.Severity, n.Phase, n.Status = Warning, Closes, "Revoked"
		n.Title = phrase(grant, "was revoked", aside)
		n.Summary = because(enclosed(phrase(gets, "has lost", what, "early"), before("revoked by", nameOf(a.RevokedBy))), line(a.Reason, maxSummary))
	case event.TypeGrantFailed:
		// Not the end of the story: somebody waits for access and has to be helped.
		n.Severity, n.Phase, n.Status = Error, Opens, "Failed"
		n.Title = phrase(grant, "could not be set up", aside)
		n.Summary = because(phrase(gets, "was to have", what, until("until", end), "and does not"), line(a.Failure, maxSummary))
	default:
		return false
	}
	return true
}

// describe lists the facts in the order in which somebody who has to decide asks for them.
func (a access) describe(n *Notice, t event.Type) {
	n.add("Requester", contact(a.Requester))
	if g := name(a.Grantee.Name, a.Grantee.ID); g != "" && g != nameOf(a.Requester) && (a.Grantee.ID == "" || a.Grantee.ID != a.Requester.ID) {
		n.add("For", phrase(g, inBrackets(a.Grantee.Type)))
	}
	n.add("Access", name(a.AccessBundle.Name, a.AccessBundle.ID))
	n.addLong("Resources", a.resources())
	n.addLong("Justification", a.Justification)
	n.add("Duration", duration(a.AccessDurationInSeconds))
	n.addTime("From", a.Granted.StartsAt.Time)
	n.addTime(endLabel(t), a.end().Time)
	n.addLong("Failure", a.Failure)
	a.decisions(n, t)
	n.add("Revoked by", contact(a.RevokedBy))
	n.addLong("Reason", a.Reason)
	n.add("Access flow", name(a.AccessFlow.Name, a.AccessFlow.ID))
	if t != event.TypeRequestPending && t != event.TypeRequestBreakGlass { // there it is the time of the event
		n.addTime("Requested", a.CreationDate.Time)
	}
}

func endLabel(t event.Type) string {
	switch t {
	case event.TypeGrantExpired, event.TypeGrantRevoked:
		return "Ended"
	case event.TypeRequestDenied, event.TypeRequestExpired, event.TypeGrantFailed:
		return "Wanted until"
	default:
		return "Until"
	}
}

// end is when the access ends or has ended: the grant knows it better than the request.
func (a access) end() event.Timestamp {
	if a.Granted.ExpiresAt.IsZero() {
		return a.RevocationDate
	}
	return a.Granted.ExpiresAt
}

// grantee is who gets the access, in a sentence.
func (a access) grantee() string {
	return somebody(name(a.Grantee.Name, nameOf(a.Requester), a.Grantee.ID))
}

// because appends a reason to a sentence.
func because(said, why string) string {
	if why == "" {
		return sentence(said)
	}
	return line(said, maxSummary) + ": " + why
}

// enclosed appends an aside: "said, aside".
func enclosed(said, aside string) string {
	if aside == "" {
		return said
	}
	return said + ", " + aside
}

func inBrackets(s string) string {
	if s = line(s, maxName); s == "" {
		return ""
	}
	return "(" + s + ")"
}
