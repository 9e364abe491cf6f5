package event

// Grant is access that was given, or was to be given, for a request. The request's fields stand beside the grant, so
// that a template for requests works for grants too, and the subject is the request's id.
type Grant struct {
	AccessRequest
	Granted Granted `json:"grant" doc:"The grant itself."`
}

// Granted is the grant without its request.
type Granted struct {
	ID        string    `json:"id" doc:"Id of the grant."`
	StartsAt  Timestamp `json:"starts_at,omitzero" doc:"When the access began, in epoch seconds."`
	ExpiresAt Timestamp `json:"expires_at,omitzero" doc:"When the access ends, in epoch seconds."`
}

// GrantActive says that the access can be used now.
type GrantActive struct{ Grant }

// GrantExpiringSoon says that the access ends before long.
type GrantExpiringSoon struct{ Grant }

// GrantExpired says that the access has ended as planned.
type GrantExpired struct{ Grant }

// GrantRevoked says that somebody ended the access early.
type GrantRevoked struct {
	Grant
	RevokedBy Person `json:"revoked_by,omitzero" doc:"Who ended it; absent when the product did."`
	Reason    string `json:"reason,omitempty" doc:"Why it was ended."`
}

// GrantFailed says that the access could not be set up.
type GrantFailed struct {
	Grant
	Failure string `json:"failure,omitempty" doc:"What went wrong, for people."`
}

// EventType is grant.active.
func (GrantActive) EventType() Type { return TypeGrantActive }

// EventType is grant.expiring_soon.
func (GrantExpiringSoon) EventType() Type { return TypeGrantExpiringSoon }

// EventType is grant.expired.
func (GrantExpired) EventType() Type { return TypeGrantExpired }

// EventType is grant.revoked.
func (GrantRevoked) EventType() Type { return TypeGrantRevoked }

// EventType is grant.failed.
func (GrantFailed) EventType() Type { return TypeGrantFailed }
