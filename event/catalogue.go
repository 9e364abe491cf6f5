package event

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Type names a kind of event, for example "request.pending". A type is at least two segments of lower-case letters,
// digits and underscores, joined by dots, and at most 100 characters long. The prefix "tocsin." is reserved for the
// library's own events.
type Type string

// The types of the catalogue. Hosts add their own by implementing [Payload].
const (
	TypeRequestPending    Type = "request.pending"
	TypeRequestApproved   Type = "request.approved"
	TypeRequestDenied     Type = "request.denied"
	TypeRequestExpired    Type = "request.expired"
	TypeRequestBreakGlass Type = "request.break_glass"

	TypeGrantActive       Type = "grant.active"
	TypeGrantExpiringSoon Type = "grant.expiring_soon"
	TypeGrantExpired      Type = "grant.expired"
	TypeGrantRevoked      Type = "grant.revoked"
	TypeGrantFailed       Type = "grant.failed"

	TypeSessionStarted      Type = "session.started"
	TypeSessionEnded        Type = "session.ended"
	TypeSessionMemberJoined Type = "session.member_joined"
	TypeSessionMemberLeft   Type = "session.member_left"

	TypeApplicationAccessRequested Type = "application_access.requested"
	TypeApplicationAccessDecided   Type = "application_access.decided"

	TypeAlertOpened       Type = "alert.opened"
	TypeAlertAcknowledged Type = "alert.acknowledged"
	TypeAlertResolved     Type = "alert.resolved"
	TypeAlertAutoResolved Type = "alert.auto_resolved"

	TypeChannelFailing   Type = "tocsin.channel_failing"
	TypeChannelRecovered Type = "tocsin.channel_recovered"
	TypeChannelDisabled  Type = "tocsin.channel_disabled"
	TypeDeliveryDead     Type = "tocsin.delivery_dead"

	TypeChannelCreated     Type = "tocsin.channel_created"
	TypeChannelUpdated     Type = "tocsin.channel_updated"
	TypeChannelDeleted     Type = "tocsin.channel_deleted"
	TypeChannelEnabled     Type = "tocsin.channel_enabled"
	TypeChannelSwitchedOff Type = "tocsin.channel_switched_off"
	TypeChannelPaused      Type = "tocsin.channel_paused"
	TypeChannelTested      Type = "tocsin.channel_tested"
	TypeSecretRotated      Type = "tocsin.secret_rotated"
	TypeConfigImported     Type = "tocsin.config_imported"
	TypeConfigBroken       Type = "tocsin.config_broken"
	TypeDeadRedelivered    Type = "tocsin.dead_redelivered"
	TypeDeadDiscarded      Type = "tocsin.dead_discarded"
)

const (
	maxTypeLength  = 100
	reservedPrefix = "tocsin."
)

// isReserved reports whether t is one of the library's own types, which filters pass only when they name them.
func (t Type) isReserved() bool { return strings.HasPrefix(string(t), reservedPrefix) }

func (t Type) validate() error {
	switch {
	case t == "":
		return &InvalidError{Field: "type", Problem: "is empty", Remedy: "return a constant such as \"request.pending\" from EventType"}
	case len(t) > maxTypeLength:
		return &InvalidError{Field: "type", Problem: "is longer than 100 characters", Remedy: "shorten it"}
	case !validSegments(string(t)) || !strings.Contains(string(t), "."):
		return &InvalidError{
			Field:   "type",
			Problem: "is not two or more dotted segments of lower-case letters, digits and underscores",
			Remedy:  "name it like \"request.pending\"",
		}
	}
	return nil
}

// validSegments reports whether s is one or more non-empty segments of [a-z0-9_] joined by dots.
func validSegments(s string) bool {
	start := true
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_':
			start = false
		case c == '.' && !start:
			start = true
		default:
			return false
		}
	}
	return !start
}

// catalogueEntry is one type of the catalogue.
type catalogueEntry struct {
	typ    Type
	doc    string
	sample func(start time.Time) Payload // whose record begins at start
	after  time.Duration                 // of the sample, since start
}

// catalogue lists all types in a fixed order: by record, then in the order they usually happen.
func catalogue() []catalogueEntry {
	return []catalogueEntry{
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
		{TypeDeliveryDead, "A delivery failed for good.", sampleDeliveryDead, 26 * time.Hour},

		{TypeChannelCreated, "A channel was created.", sampleChannelCreated, 3 * time.Hour},
		{TypeChannelUpdated, "A channel, or how it is used, was changed.", sampleChannelUpdated, 3 * time.Hour},
		{TypeChannelDeleted, "A channel was deleted, with what waited for it.", sampleChannelDeleted, 3 * time.Hour},
		{TypeChannelEnabled, "Somebody switched a channel on.", sampleChannelEnabled, 3 * time.Hour},
		{TypeChannelSwitchedOff, "Somebody switched a channel off.", sampleChannelSwitchedOff, 3 * time.Hour},
		{TypeChannelPaused, "Somebody paused a channel: its events wait.", sampleChannelPaused, 3 * time.Hour},
		{TypeChannelTested, "Somebody sent a test through a channel.", sampleChannelTested, 3 * time.Hour},
		{TypeSecretRotated, "The secret by which a channel signs was changed, or the previous one revoked.", sampleSecretRotated, 3 * time.Hour},
		{TypeConfigImported, "A tenant's whole configuration was replaced.", sampleConfigImported, 3 * time.Hour},
		{TypeConfigBroken, "A stored configuration cannot be put in force as a whole.", sampleConfigBroken, 3 * time.Hour},
		{TypeDeadRedelivered, "Somebody had dead deliveries queued again.", sampleDeadRedelivered, 3 * time.Hour},
		{TypeDeadDiscarded, "Somebody removed dead deliveries for good.", sampleDeadDiscarded, 3 * time.Hour},
	}
}

func findEntry(t Type) (catalogueEntry, bool) {
	all := catalogue()
	i := slices.IndexFunc(all, func(c catalogueEntry) bool { return c.typ == t })
	if i < 0 {
		return catalogueEntry{}, false
	}
	return all[i], true
}

// isCataloguePayload reports whether p is the payload that the catalogue has for t.
func isCataloguePayload(t Type, p Payload) bool {
	c, ok := findEntry(t)
	if !ok {
		return false
	}
	given := reflect.TypeOf(p)
	if given.Kind() == reflect.Pointer {
		given = given.Elem()
	}
	return given == reflect.TypeOf(c.sample(time.Time{}))
}

// Catalogue returns the types this package defines, in a fixed order.
func Catalogue() []Type {
	var types []Type
	for _, c := range catalogue() {
		types = append(types, c.typ)
	}
	return types
}

// Schema returns the JSON Schema (draft 2020-12) of the whole JSON form of a catalogue type, indented; false for other
// types. It leaves additional properties open, because fields may be added.
func Schema(t Type) ([]byte, bool) {
	c, ok := findEntry(t)
	if !ok {
		return nil, false
	}
	return formSchema(c.typ, c.doc, reflect.TypeOf(c.sample(time.Time{}))).encode(), true
}
