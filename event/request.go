package event

// RequestPending says that a request was made and waits for a decision.
type RequestPending struct{ AccessRequest }

// RequestApproved says that all needed approvals were given.
type RequestApproved struct{ AccessRequest }

// RequestDenied says that the request was turned down; who did it is in Approvals.
type RequestDenied struct {
	AccessRequest
	Reason string `json:"reason,omitempty" doc:"Why it was denied, in the approver's words."`
}

// RequestExpired says that nobody decided in time.
type RequestExpired struct{ AccessRequest }

// RequestBreakGlass says that somebody took emergency access without waiting for approval.
type RequestBreakGlass struct{ AccessRequest }

// EventType is request.pending.
func (RequestPending) EventType() Type { return TypeRequestPending }

// EventType is request.approved.
func (RequestApproved) EventType() Type { return TypeRequestApproved }

// EventType is request.denied.
func (RequestDenied) EventType() Type { return TypeRequestDenied }

// EventType is request.expired.
func (RequestExpired) EventType() Type { return TypeRequestExpired }

// EventType is request.break_glass.
func (RequestBreakGlass) EventType() Type { return TypeRequestBreakGlass }
