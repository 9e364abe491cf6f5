package event

// Trigger is the name that access-request products commonly give to a change of a request. It is a second vocabulary
// for six of the types; events themselves carry types.
type Trigger string

// The triggers, each with the type it stands for.
const (
	TriggerCreated  Trigger = "Created"  // request.pending
	TriggerApproved Trigger = "Approved" // request.approved
	TriggerRejected Trigger = "Rejected" // request.denied
	TriggerGranted  Trigger = "Granted"  // grant.active
	TriggerExpired  Trigger = "Expired"  // grant.expired
	TriggerFailed   Trigger = "Failed"   // grant.failed
)

// Type returns the type that t stands for; false when t is not one of the constants.
func (t Trigger) Type() (Type, bool) {
	switch t {
	case TriggerCreated:
		return TypeRequestPending, true
	case TriggerApproved:
		return TypeRequestApproved, true
	case TriggerRejected:
		return TypeRequestDenied, true
	case TriggerGranted:
		return TypeGrantActive, true
	case TriggerExpired:
		return TypeGrantExpired, true
	case TriggerFailed:
		return TypeGrantFailed, true
	}
	return "", false
}

// TriggerOf returns the trigger that stands for t; false when there is none.
func TriggerOf(t Type) (Trigger, bool) {
	switch t {
	case TypeRequestPending:
		return TriggerCreated, true
	case TypeRequestApproved:
		return TriggerApproved, true
	case TypeRequestDenied:
		return TriggerRejected, true
	case TypeGrantActive:
		return TriggerGranted, true
	case TypeGrantExpired:
		return TriggerExpired, true
	case TypeGrantFailed:
		return TriggerFailed, true
	}
	return "", false
}
