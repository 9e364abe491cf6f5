package notice

import (
	"encoding/json"
	"strings"

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

func accessNotice(e event.Event) (Notice, bool) {
	var a access
	if json.Unmarshal(e.Data(), &a) != nil {
		return Notice{}, false
	}
	n := Notice{Link: link(a.URL), LinkText: "Open request"}
	if !a.summarise(&n, e.Type()) {
		return Notice{}, false
	}
	a.addFacts(&n, e.Type())
	return n, true
}

// summarise sets severity, phase, status, title and summary; it reports false for a type it does not know.
func (a access) summarise(n *Notice, t event.Type) bool {
	who, gets := orSomebody(nameOf(a.Requester)), a.grantee()
	ref := name(a.FriendlyID, a.ID)
	request, grant := phrase("Access request", ref), "Access of "+gets
	aside := parenthesised(ref)
	what, forWhom := a.what(), ""
	if gets != who && a.Grantee.Name != "" {
		forWhom = "for " + gets
	}
	long := before("for", duration(a.AccessDurationInSeconds))
	end := a.end()
	why := line(a.Justification, maxSummary)
	decided := before("approved by", enumerate(a.deciders(event.ApprovalApproved), 3, "and"))

	switch t {
	case event.TypeRequestPending:
		n.Severity, n.Phase, n.Status = Warning, Opens, "Pending"
		n.Title = phrase(request, "waits for approval")
		n.Summary = withReason(phrase(who, "asks for", what, forWhom, long), why)
	case event.TypeRequestApproved:
		n.Phase, n.Status = Updates, "Approved"
		n.Title = phrase(request, "is approved")
		n.Summary = sentence(withAside(phrase(gets, "may have", what, before("until", instant(end.Time))), decided))
	case event.TypeRequestDenied:
		n.Severity, n.Phase, n.Status = Warning, Closes, "Denied"
		n.Title = phrase(request, "is denied")
		by := before("by", enumerate(a.deciders(event.ApprovalRejected), 3, "and"))
		n.Summary = withReason(phrase(who, "asked for", what, forWhom, "and was turned down", by), line(a.Reason, maxSummary))
	case event.TypeRequestExpired:
		n.Severity, n.Phase, n.Status = Warning, Closes, "Expired"
		n.Title = phrase(request, "expired without a decision")
		n.Summary = sentence(who, "asked for", what, forWhom, "and nobody decided in time")
	case event.TypeRequestBreakGlass:
		n.Severity, n.Phase, n.Status = Critical, Opens, "Break glass"
		n.Title = phrase(who, "took break-glass access", aside)
		n.Summary = withReason(phrase(who, "took", what, forWhom, "without waiting for approval", before("until", instant(end.Time))), why)
	case event.TypeGrantActive:
		n.Phase, n.Status = Updates, "Active"
		n.Title = phrase(grant, "is active", aside)
		n.Summary = sentence(gets, "has", what, before("until", instant(end.Time)))
	case event.TypeGrantExpiringSoon:
		n.Severity, n.Phase, n.Status = Warning, Updates, "Expiring soon"
		n.Title = phrase(grant, "ends soon", aside)
		n.Summary = sentence(gets, "has", what, before("until", instant(end.Time)), "only")
	case event.TypeGrantExpired:
		n.Phase, n.Status = Closes, "Expired"
		n.Title = phrase(grant, "has ended", aside)
		n.Summary = sentence(gets, "had", what, before("until", instant(end.Time)))
	case event.TypeGrantRevoked:
		n.Severity, n.Phase, n.Status = Warning, Closes, "Revoked"
		n.Title = phrase(grant, "was revoked", aside)
		n.Summary = withReason(withAside(phrase(gets, "has lost", what, "early"), before("revoked by", nameOf(a.RevokedBy))), line(a.Reason, maxSummary))
	case event.TypeGrantFailed:
		// It opens again: somebody waits for access and needs help.
		n.Severity, n.Phase, n.Status = Error, Opens, "Failed"
		n.Title = phrase(grant, "could not be set up", aside)
		n.Summary = withReason(phrase(gets, "was to have", what, before("until", instant(end.Time)), "and does not"), line(a.Failure, maxSummary))
	default:
		return false
	}
	return true
}

// addFacts lists the facts in the order in which somebody who has to decide asks for them.
func (a access) addFacts(n *Notice, t event.Type) {
	n.add("Requester", contact(a.Requester))
	if g := name(a.Grantee.Name, a.Grantee.ID); g != "" && g != nameOf(a.Requester) && (a.Grantee.ID == "" || a.Grantee.ID != a.Requester.ID) {
		n.add("For", phrase(g, parenthesised(a.Grantee.Type)))
	}
	n.add("Access", name(a.AccessBundle.Name, a.AccessBundle.ID))
	n.addLong("Resources", a.resources())
	n.addLong("Justification", a.Justification)
	n.add("Duration", duration(a.AccessDurationInSeconds))
	n.addTime("From", a.Granted.StartsAt.Time)
	n.addTime(endLabel(t), a.end().Time)
	n.addLong("Failure", a.Failure)
	a.addDecisions(n, t)
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
	return orSomebody(name(a.Grantee.Name, nameOf(a.Requester), a.Grantee.ID))
}

// withReason appends a reason to a sentence.
func withReason(said, why string) string {
	if why == "" {
		return sentence(said)
	}
	return line(said, maxSummary) + ": " + why
}

// withAside appends an aside: "said, aside".
func withAside(said, aside string) string {
	if aside == "" {
		return said
	}
	return said + ", " + aside
}

func parenthesised(s string) string {
	if s = line(s, maxName); s == "" {
		return ""
	}
	return "(" + s + ")"
}

const maxApprovals = 6 // in a fact

// deciders are those who gave an answer, by name; the asked role where nobody is named.
func (a access) deciders(s event.ApprovalStatus) []string {
	var who []string
	for _, p := range a.Approvals {
		if p.Status == s {
			who = append(who, name(nameOf(p.Approver), p.Name))
		}
	}
	return who
}

// addDecisions says who decided what, and for whom a request still waits.
func (a access) addDecisions(n *Notice, t event.Type) {
	var approved, denied, waiting, others []string
	for _, p := range a.Approvals {
		role, who := name(p.Name), nameOf(p.Approver)
		decided := name(who, role)
		if who != "" {
			decided = phrase(who, parenthesised(role))
		}
		switch p.Status {
		case event.ApprovalApproved:
			approved = append(approved, decided)
		case event.ApprovalRejected:
			denied = append(denied, decided)
		case event.ApprovalPending:
			waiting = append(waiting, role)
		default:
			others = append(others, phrase(decided, before("is", name(string(p.Status)))))
		}
	}
	n.add("Approved by", enumerate(approved, maxApprovals, "and"))
	n.add("Denied by", enumerate(denied, maxApprovals, "and"))
	n.add("Other approvals", enumerate(others, maxApprovals, "and"))
	last := "and"
	if a.Relation == event.RelationAnyOf {
		last = "or"
	}
	switch t { // elsewhere it does not matter any more
	case event.TypeRequestPending:
		n.add("Waiting for", enumerate(waiting, maxApprovals, last))
	case event.TypeRequestExpired:
		n.add("No answer from", enumerate(waiting, maxApprovals, last))
	case event.TypeRequestBreakGlass:
		n.add("Approval pending", enumerate(waiting, maxApprovals, last))
	}
}

const (
	maxResources = 12 // lines in a fact
	maxMentioned = 2  // in a sentence
)

// what is the access in a sentence: the bundle's name, or the first resources.
func (a access) what() string {
	if bundle := name(a.AccessBundle.Name, a.AccessBundle.ID); bundle != "" {
		return bundle
	}
	var units, integrations []string
	for _, g := range a.AccessGroups {
		integrations = append(integrations, name(g.Integration.Name, g.Integration.ID))
		for _, u := range g.AccessUnits {
			units = append(units, permissionOn(u.Permission.Name, name(u.Resource.Name, u.Resource.Path, u.Resource.ID)))
		}
	}
	if s := enumerate(units, maxMentioned, "and"); s != "" {
		return s
	}
	if s := enumerate(integrations, maxMentioned, "and"); s != "" {
		return "access to " + s
	}
	return "access"
}

// resources lists what can be reached, a line each.
func (a access) resources() string {
	var lines []string
	for _, g := range a.AccessGroups {
		in := name(g.Integration.Name, g.Integration.ID)
		if len(g.AccessUnits) == 0 {
			lines = append(lines, in)
		}
		for _, u := range g.AccessUnits {
			where := line(u.Resource.Path, maxValue)
			if where == "" {
				where = strings.Join(nonEmpty([]string{in, name(u.Resource.Name, u.Resource.ID)}), ", ")
			}
			lines = append(lines, permissionOn(u.Permission.Name, where))
		}
	}
	lines = nonEmpty(lines)
	if rest := len(lines) - maxResources; rest > 0 {
		lines = append(lines[:maxResources:maxResources], enumerate(lines[maxResources:], 0, ""))
	}
	return strings.Join(lines, "\n")
}

// permissionOn is "Read only on orders".
func permissionOn(permission, resource string) string {
	if p := name(permission); p != "" {
		return phrase(p, before("on", resource))
	}
	return resource
}
