package main

import (
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// justification is what the requester typed, in the hope that somebody does not look closely.
const justification = `INC-48213: orders are charged twice <!channel> "do it now"` + "\nBcc: everybody@example.com"

// chapter is one thing that happens to the request.
type chapter struct {
	title string
	event event.Event
}

// chapters returns the whole life of one request.
func chapters() ([]chapter, error) {
	pending, err := sampled[event.RequestPending](event.TypeRequestPending)
	if err != nil {
		return nil, err
	}
	approved, err := sampled[event.RequestApproved](event.TypeRequestApproved)
	if err != nil {
		return nil, err
	}
	asked := time.Date(2026, time.November, 23, 9, 0, 0, 0, time.UTC)
	started, ends := asked.Add(20*time.Minute), asked.Add(20*time.Minute+4*time.Hour)
	request := pending.AccessRequest
	request.Grantee = event.Grantee{} // it is the requester
	request.Justification = justification
	request.CreationDate, request.RevocationDate = event.At(asked), event.At(asked.Add(4*time.Hour))
	decided := request
	decided.Approvals, decided.RevocationDate = approved.Approvals, event.At(ends)
	grant := event.Grant{AccessRequest: decided, Granted: event.Granted{ID: "grant-7", StartsAt: event.At(started), ExpiresAt: event.At(ends)}}

	var all []chapter
	add := func(title, id string, at time.Time, p event.Payload) {
		// An id of the host's own makes repetitions recognisable; without one it would be a UUID.
		e, failed := event.New(p, event.Meta{ID: request.FriendlyID + "-" + id, Tenant: tenant, Time: at})
		if err == nil {
			err = failed
		}
		all = append(all, chapter{title, e})
	}
	add("Priya asks for access", "pending", asked, event.RequestPending{AccessRequest: request})
	add("both approvals are there", "approved", asked.Add(18*time.Minute), event.RequestApproved{AccessRequest: decided})
	add("the access is set up", "active", started, event.GrantActive{Grant: grant})
	add("half an hour is left", "expiring", ends.Add(-30*time.Minute), event.GrantExpiringSoon{Grant: grant})
	add("the access is gone", "expired", ends, event.GrantExpired{Grant: grant})
	return all, err
}

// sampled returns the payload of a sample event.
func sampled[P event.Payload](t event.Type) (P, error) {
	e, _ := event.Sample(t)
	return event.Decode[P](e)
}
