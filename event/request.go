package event

import "time"

// AccessRequest is somebody's request for access, as all request and grant events carry it. Parts without omitempty or
// omitzero in their tag are always present; the others are absent when empty.
type AccessRequest struct {
	ID            string    `json:"id" doc:"Id of the request."`
	FriendlyID    string    `json:"friendly_id,omitempty" doc:"Id that people see, for example AR-2047."`
	Requester     Person    `json:"requester" doc:"Who asks."`
	Grantee       Grantee   `json:"grantee,omitzero" doc:"Who or what gets the access."`
	Justification string    `json:"justification" doc:"Why the access is needed, in the requester's words."`
	CreationDate  Timestamp `json:"creation_date" doc:"When the request was made, in epoch seconds."`
	// RevocationDate is in the future until the access has ended.
	RevocationDate          Timestamp       `json:"revocation_date,omitzero" doc:"When the access ends or has ended, in epoch seconds."`
	AccessFlow              Reference       `json:"access_flow,omitzero" doc:"The rule that decides on the request."`
	AccessBundle            Reference       `json:"access_bundle,omitzero" doc:"The named bundle that was asked for."`
	AccessDurationInSeconds int64           `json:"access_duration_in_seconds,omitempty" doc:"For how long access is asked."`
	AccessGroups            []AccessGroup   `json:"access_groups,omitempty" doc:"What is asked for, by integration."`
	Relation                LogicalRelation `json:"approvals_logical_relation,omitempty" doc:"How many of the approvals are needed."`
	Approvals               []Approval      `json:"approvals,omitempty" doc:"Who has decided and who is to decide."`
	URL                     string          `json:"url,omitempty" doc:"Link to the request in the product."`
}

// EventSubject is the request's id: all events about a request and its grants share it.
func (r AccessRequest) EventSubject() string { return r.ID }

// Person is a human being the product knows.
type Person struct {
	ID    string `json:"id" doc:"Id of the person."`
	Name  string `json:"name" doc:"Full name."`
	Email string `json:"email" doc:"E-mail address."`
}

// Grantee is who or what gets the access.
type Grantee struct {
	ID       string `json:"id" doc:"Id of the grantee."`
	SourceID string `json:"source_id,omitempty" doc:"Id of the grantee in the system it comes from."`
	Name     string `json:"name" doc:"Name of the grantee."`
	Type     string `json:"type" doc:"What the grantee is, for example user or service_account."`
}

// Reference names something of the product.
type Reference struct {
	ID   string `json:"id" doc:"Id."`
	Name string `json:"name" doc:"Name that people see."`
}

// AccessGroup is what is asked for in one integration.
type AccessGroup struct {
	Integration   Integration    `json:"integration" doc:"The connected system."`
	ResourceTypes []ResourceType `json:"resource_types,omitempty" doc:"The kinds of resources in this group."`
	AccessUnits   []AccessUnit   `json:"access_units,omitempty" doc:"Each resource with the permission on it."`
}

// Integration is a system the product gives access to.
type Integration struct {
	ID   string `json:"id" doc:"Id of the integration."`
	Type string `json:"type" doc:"What it is, for example postgresql."`
	Name string `json:"name" doc:"Name that people see."`
}

// ResourceType is a kind of resource.
type ResourceType struct {
	ID          string `json:"id" doc:"Id of the type."`
	Name        string `json:"name" doc:"Name of the type."`
	DisplayPath string `json:"display_path" doc:"Where the type belongs, for people."`
}

// AccessUnit is one permission on one resource.
type AccessUnit struct {
	Resource   Resource  `json:"resource" doc:"What can be reached."`
	Permission Reference `json:"permission" doc:"What may be done with it."`
}

// Resource is one thing that can be reached.
type Resource struct {
	ID   string       `json:"id" doc:"Id of the resource."`
	Name string       `json:"name" doc:"Name of the resource."`
	Path string       `json:"path" doc:"Where it is, for people."`
	Type ResourceType `json:"type" doc:"What kind of resource it is."`
}

// LogicalRelation says how many of the approvals are needed.
type LogicalRelation string

// The logical relations.
const (
	RelationAnyOf LogicalRelation = "AnyOf" // one approval is enough
	RelationAllOf LogicalRelation = "AllOf" // every approval is needed
)

func (LogicalRelation) enum() []string {
	return []string{string(RelationAnyOf), string(RelationAllOf)}
}

// Approval is one decision that was asked for. Approver is empty while Status is [ApprovalPending].
type Approval struct {
	Name     string         `json:"name" doc:"Who is asked, for example a role."`
	Type     string         `json:"type" doc:"How the approver is found, for example manager or on_call."`
	Status   ApprovalStatus `json:"status" doc:"Pending, Approved, Rejected, or a further state of the product."`
	Approver Person         `json:"approver,omitzero" doc:"Who decided; absent while Pending."`
}

// ApprovalStatus is the state of one approval. Products may have more of them than the constants.
type ApprovalStatus string

// The usual states of an approval.
const (
	ApprovalPending  ApprovalStatus = "Pending"
	ApprovalApproved ApprovalStatus = "Approved"
	ApprovalRejected ApprovalStatus = "Rejected"
)

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

func sampleRequest(start time.Time, approvals ...Approval) AccessRequest {
	table := ResourceType{ID: "postgresql-table", Name: "Table", DisplayPath: "PostgreSQL/Database/Table"}
	bucket := ResourceType{ID: "aws-s3-bucket", Name: "S3 bucket", DisplayPath: "AWS/S3/Bucket"}
	return AccessRequest{
		ID:                      "6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9",
		FriendlyID:              "AR-2047",
		Requester:               priya(),
		Grantee:                 Grantee{ID: "usr-1041", SourceID: "00u8k2m1xPriya", Name: "Priya Nair", Type: "user"},
		Justification:           "INC-48213: orders are charged twice, need to compare them with the payment export",
		CreationDate:            At(start),
		RevocationDate:          At(start.Add(4*time.Hour + 8*time.Minute)),
		AccessFlow:              Reference{ID: "flow-31", Name: "Production data, on-call engineers"},
		AccessBundle:            Reference{ID: "bundle-12", Name: "Payments troubleshooting"},
		AccessDurationInSeconds: 4 * 60 * 60,
		AccessGroups: []AccessGroup{{
			Integration:   Integration{ID: "int-204", Type: "postgresql", Name: "orders-production"},
			ResourceTypes: []ResourceType{table},
			AccessUnits: []AccessUnit{{
				Resource:   Resource{ID: "tbl-881", Name: "orders", Path: "orders-production/shop/orders", Type: table},
				Permission: Reference{ID: "perm-read", Name: "Read only"},
			}, {
				Resource:   Resource{ID: "tbl-882", Name: "payments", Path: "orders-production/shop/payments", Type: table},
				Permission: Reference{ID: "perm-read", Name: "Read only"},
			}},
		}, {
			Integration:   Integration{ID: "int-117", Type: "aws", Name: "AWS production"},
			ResourceTypes: []ResourceType{bucket},
			AccessUnits: []AccessUnit{{
				Resource:   Resource{ID: "s3-5510", Name: "payment-exports", Path: "AWS production/payment-exports", Type: bucket},
				Permission: Reference{ID: "perm-s3-get", Name: "Get objects"},
			}},
		}},
		Relation:  RelationAllOf,
		Approvals: approvals,
		URL:       "https://access.example.com/requests/AR-2047",
	}
}

func approvalByManager() Approval {
	return Approval{Name: "Manager", Type: "manager", Status: ApprovalApproved, Approver: tomas()}
}

func approvalByOwner(s ApprovalStatus) Approval {
	a := Approval{Name: "Payments data owner", Type: "resource_owner", Status: s}
	if s != ApprovalPending {
		a.Approver = ingrid()
	}
	return a
}

func sampleApproved(start time.Time) AccessRequest {
	return sampleRequest(start, approvalByManager(), approvalByOwner(ApprovalApproved))
}

func sampleRequestPending(start time.Time) Payload {
	return RequestPending{sampleRequest(start, approvalByManager(), approvalByOwner(ApprovalPending))}
}

func sampleRequestApproved(start time.Time) Payload { return RequestApproved{sampleApproved(start)} }

func sampleRequestDenied(start time.Time) Payload {
	return RequestDenied{
		AccessRequest: sampleRequest(start, approvalByManager(), approvalByOwner(ApprovalRejected)),
		Reason:        "The nightly export has what you need, please use that",
	}
}

func sampleRequestExpired(start time.Time) Payload {
	return RequestExpired{sampleRequest(start, approvalByManager(), approvalByOwner(ApprovalPending))}
}

func sampleRequestBreakGlass(start time.Time) Payload {
	r := sampleRequest(start, Approval{Name: "Review afterwards", Type: "security_on_call", Status: ApprovalPending})
	r.Justification = "INC-48213: checkout is down, on-call approver cannot be reached"
	r.AccessFlow = Reference{ID: "flow-2", Name: "Break glass"}
	r.Relation = RelationAnyOf
	return RequestBreakGlass{r}
}

func sampleGrant(start time.Time) Grant {
	return Grant{
		AccessRequest: sampleApproved(start),
		Granted: Granted{
			ID:        "grant-9302",
			StartsAt:  At(start.Add(8 * time.Minute)),
			ExpiresAt: At(start.Add(4*time.Hour + 8*time.Minute)),
		},
	}
}

func sampleGrantActive(start time.Time) Payload       { return GrantActive{sampleGrant(start)} }
func sampleGrantExpiringSoon(start time.Time) Payload { return GrantExpiringSoon{sampleGrant(start)} }
func sampleGrantExpired(start time.Time) Payload      { return GrantExpired{sampleGrant(start)} }

func sampleGrantRevoked(start time.Time) Payload {
	g := sampleGrant(start)
	g.RevocationDate = At(start.Add(95 * time.Minute))
	g.Granted.ExpiresAt = g.RevocationDate
	return GrantRevoked{Grant: g, RevokedBy: ingrid(), Reason: "INC-48213 is resolved"}
}

func sampleGrantFailed(start time.Time) Payload {
	g := sampleGrant(start)
	g.Granted = Granted{ID: "grant-9302"}
	return GrantFailed{Grant: g, Failure: "orders-production refused to create the role: too many connections"}
}
