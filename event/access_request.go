package event

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

// EventSubject is the request's id: all news about a request and its grants share it.
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

func (LogicalRelation) vocabulary() []string {
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
