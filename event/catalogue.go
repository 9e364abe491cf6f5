package event

import (
	"crypto/sha256"
	"reflect"
	"slices"
	"time"
)

// entry is one type of the catalogue.
type entry struct {
	typ    Type
	doc    string
	sample func() Payload
	after  time.Duration // of the sample, since sampleStart
}

// catalogue lists all types in a fixed order: by record, then in the order they usually happen.
func catalogue() []entry {
	return []entry{
		{TypeRequestPending, "A request was made and waits for a decision.", sampleRequestPending, 0},
		{TypeRequestApproved, "All needed approvals of a request were given.", sampleRequestApproved, 7 * time.Minute},
		{TypeRequestDenied, "A request was turned down.", sampleRequestDenied, 9 * time.Minute},
		{TypeRequestExpired, "Nobody decided on a request in time.", sampleRequestExpired, 24 * time.Hour},
		{TypeRequestBreakGlass, "Somebody took emergency access without waiting for approval.", sampleRequestBreakGlass, time.Second},

		{TypeGrantActive, "Access can be used now.", sampleGrantActive, 8 * time.Minute},
		{TypeGrantExpiringSoon, "Access ends before long.", sampleGrantExpiringSoon, 3*time.Hour + 53*time.Minute},
		{TypeGrantExpired, "Access has ended as planned.", sampleGrantExpired, 4*time.Hour + 8*time.Minute},
		{TypeGrantRevoked, "Somebody ended access early.", sampleGrantRevoked, 95 * time.Minute},
		{TypeGrantFailed, "Access could not be set up.", sampleGrantFailed, 8 * time.Minute},

		{TypeSessionStarted, "A session began.", sampleSessionStarted, 20 * time.Minute},
		{TypeSessionEnded, "A session is over.", sampleSessionEnded, 52 * time.Minute},
		{TypeSessionMemberJoined, "Somebody entered a session.", sampleSessionMemberJoined, 21 * time.Minute},
		{TypeSessionMemberLeft, "Somebody left a session.", sampleSessionMemberLeft, 49 * time.Minute},

		{TypeApplicationAccessRequested, "A ticket for an application was created and waits for a decision.", sampleApplicationAccessRequested, 30 * time.Minute},
		{TypeApplicationAccessDecided, "The decision on an application was made or changed.", sampleApplicationAccessDecided, 34 * time.Minute},

		{TypeAlertOpened, "A rule raised an alert.", sampleAlertOpened, time.Minute},
		{TypeAlertAcknowledged, "Somebody looks after an alert.", sampleAlertAcknowledged, 6 * time.Minute},
		{TypeAlertResolved, "Somebody closed an alert.", sampleAlertResolved, 41 * time.Minute},
		{TypeAlertAutoResolved, "The cause of an alert went away.", sampleAlertAutoResolved, 41 * time.Minute},

		{TypeChannelFailing, "A route has been failing for a while.", sampleChannelFailing, 2 * time.Hour},
		{TypeChannelRecovered, "A route that was reported as failing delivers again.", sampleChannelRecovered, 3 * time.Hour},
		{TypeChannelDisabled, "A route is not used any more.", sampleChannelDisabled, 2 * time.Hour},
		{TypeDeliveryDead, "One delivery was given up.", sampleDeliveryDead, 26 * time.Hour},
	}
}

func find(t Type) (entry, bool) {
	all := catalogue()
	i := slices.IndexFunc(all, func(c entry) bool { return c.typ == t })
	if i < 0 {
		return entry{}, false
	}
	return all[i], true
}

// isOwnPayload tells whether p is the payload that this package has for its own type t.
func isOwnPayload(t Type, p Payload) bool {
	c, ok := find(t)
	if !ok {
		return false
	}
	given := reflect.TypeOf(p)
	if given.Kind() == reflect.Pointer {
		given = given.Elem()
	}
	return given == reflect.TypeOf(c.sample())
}

// Catalogue returns the types this package defines, in a fixed order.
func Catalogue() []Type {
	var types []Type
	for _, c := range catalogue() {
		types = append(types, c.typ)
	}
	return types
}

// Sample returns a realistic event of a catalogue type, for test sends, previews and documentation; false for other
// types. It is the same on every call, also its id and time, and belongs to no tenant and no source.
func Sample(t Type) (Event, bool) {
	c, ok := find(t)
	if !ok {
		return Event{}, false
	}
	at := sampleStart().Add(c.after)
	hash := sha256.Sum256([]byte(t)) // stands for the random part of the id
	return Must(c.sample(), Meta{ID: uuid7(at, [16]byte(hash[:16])), Time: at}), true
}

// Schema returns the JSON Schema (draft 2020-12) of the whole JSON form of a catalogue type, indented; false for other
// types. It leaves additional properties open, because fields may be added.
func Schema(t Type) ([]byte, bool) {
	c, ok := find(t)
	if !ok {
		return nil, false
	}
	return formSchema(c.typ, c.doc, reflect.TypeOf(c.sample())).encode(), true
}
