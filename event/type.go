package event

import "strings"

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
)

const (
	maxTypeLength = 100
	ownPrefix     = "tocsin."
)

// own tells whether t is one of the library's own types, which filters pass only when they name them.
func (t Type) own() bool { return strings.HasPrefix(string(t), ownPrefix) }

func (t Type) check() error {
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

// validSegments tells whether s is one or more non-empty segments of [a-z0-9_] joined by dots.
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
