package notice

import "github.com/tocsin-go/tocsin/event"

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

// decisions says who decided what, and for whom a request still waits.
func (a access) decisions(n *Notice, t event.Type) {
	var approved, denied, waiting, others []string
	for _, p := range a.Approvals {
		role, who := name(p.Name), nameOf(p.Approver)
		decided := name(who, role)
		if who != "" && role != "" {
			decided = who + " (" + role + ")"
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
	n.add("Approved by", among(approved, maxApprovals, "and"))
	n.add("Denied by", among(denied, maxApprovals, "and"))
	n.add("Other approvals", among(others, maxApprovals, "and"))
	last := "and"
	if a.Relation == event.RelationAnyOf {
		last = "or"
	}
	switch t { // elsewhere it does not matter any more
	case event.TypeRequestPending:
		n.add("Waiting for", among(waiting, maxApprovals, last))
	case event.TypeRequestExpired:
		n.add("No answer from", among(waiting, maxApprovals, last))
	case event.TypeRequestBreakGlass:
		n.add("Approval pending", among(waiting, maxApprovals, last))
	}
}
