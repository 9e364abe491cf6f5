package event

// ApplicationAccess is the wish to run an application with more rights, as endpoint privilege products report it. The
// names are the snake_case form of the macros such products offer (HostName, sha1Hash). Three macros have no field
// here because the event itself carries them: EventType is event_type, TenantId is tenant, Timestamp is event_time.
type ApplicationAccess struct {
	RequestID              string `json:"request_id" doc:"Id of the request."`
	User                   string `json:"user" doc:"Account that wants to run the application."`
	HostName               string `json:"host_name" doc:"Computer it is to run on."`
	Reason                 string `json:"reason" doc:"Why, in the user's words."`
	Action                 string `json:"action,omitempty" doc:"What the user wants to do, for example Elevate."`
	Workstyle              string `json:"workstyle,omitempty" doc:"Policy group the user falls into."`
	ApplicationType        string `json:"application_type,omitempty" doc:"Kind of application, for example Executable."`
	FilePathObjectID       string `json:"file_path_object_id,omitempty" doc:"Path of the file, or id of the object."`
	ProductDescription     string `json:"product_description,omitempty" doc:"What the file says that it is."`
	ProductCode            string `json:"product_code,omitempty" doc:"Product code of an installer."`
	UpgradeCode            string `json:"upgrade_code,omitempty" doc:"Upgrade code of an installer."`
	ClsID                  string `json:"cls_id,omitempty" doc:"Class id of a COM object."`
	COMDisplayName         string `json:"com_display_name,omitempty" doc:"Name of a COM object."`
	Token                  string `json:"token,omitempty" doc:"Kind of access token to be given, for example Add Admin; not a secret."`
	TokenAssignmentIsShell bool   `json:"token_assignment_is_shell" doc:"Whether the shell started it."`
	UACTriggered           bool   `json:"uac_triggered" doc:"Whether the system asked for consent."`
	TrustedOwnership       bool   `json:"trusted_ownership" doc:"Whether the file belongs to a trusted owner."`
	DriveType              string `json:"drive_type,omitempty" doc:"Kind of drive the file is on."`
	BtZoneIdentifierExists bool   `json:"bt_zone_identifier_exists" doc:"Whether the file is marked as downloaded."`
	DownloadSourceURL      string `json:"download_source_url,omitempty" doc:"Where the file was downloaded from."`
	UserLanguage           string `json:"user_language,omitempty" doc:"Language of the user, for example en-GB."`
	SHA1Hash               string `json:"sha1_hash,omitempty" doc:"SHA-1 of the file, in hexadecimal."`
}

// EventSubject is the request's id.
func (a ApplicationAccess) EventSubject() string { return a.RequestID }

// ApplicationAccessRequested says that a ticket was created and waits for a decision.
type ApplicationAccessRequested struct{ ApplicationAccess }

// ApplicationAccessDecided says that the decision was made or changed.
type ApplicationAccessDecided struct {
	ApplicationAccess
	Decision       Decision `json:"decision" doc:"What was decided."`
	DecidedBy      Person   `json:"decided_by,omitzero" doc:"Who decided; absent when a rule did."`
	DecisionReason string   `json:"decision_reason,omitempty" doc:"Why, in the words of who decided."`
}

// Decision is the answer to an application access request.
type Decision string

// The decisions.
const (
	DecisionApproved Decision = "Approved"
	DecisionDenied   Decision = "Denied"
)

func (Decision) vocabulary() []string {
	return []string{string(DecisionApproved), string(DecisionDenied)}
}

// EventType is application_access.requested.
func (ApplicationAccessRequested) EventType() Type { return TypeApplicationAccessRequested }

// EventType is application_access.decided.
func (ApplicationAccessDecided) EventType() Type { return TypeApplicationAccessDecided }
