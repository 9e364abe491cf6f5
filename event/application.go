package event

import "time"

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

func (Decision) enum() []string {
	return []string{string(DecisionApproved), string(DecisionDenied)}
}

// EventType is application_access.requested.
func (ApplicationAccessRequested) EventType() Type { return TypeApplicationAccessRequested }

// EventType is application_access.decided.
func (ApplicationAccessDecided) EventType() Type { return TypeApplicationAccessDecided }

func sampleApplicationAccess() ApplicationAccess {
	return ApplicationAccess{
		RequestID:              "b7d9e0c4-51f3-4a86-8f0e-2c6f9d1a7e35",
		User:                   `EXAMPLE\pnair`,
		HostName:               "LT-PNAIR-07",
		Reason:                 "Need the driver update for the label printer",
		Action:                 "Elevate",
		Workstyle:              "Engineering, medium flexibility",
		ApplicationType:        "Installer package",
		FilePathObjectID:       `C:\Users\pnair\Downloads\LabelPrinter-4.2.msi`,
		ProductDescription:     "Label Printer Driver 4.2",
		ProductCode:            "{3F2A9C11-7B0D-4E58-9D43-0A6C5E1B8F72}",
		UpgradeCode:            "{A90E1D57-2C6B-4F3A-8E19-5D7B04C2F6A8}",
		ClsID:                  "{5E6B1F90-8C2D-4A37-B1F4-9D0E7A3C6B25}",
		COMDisplayName:         "Printer setup",
		Token:                  "Add Admin",
		TokenAssignmentIsShell: true,
		UACTriggered:           true,
		TrustedOwnership:       false,
		DriveType:              "Fixed disk",
		BtZoneIdentifierExists: true,
		DownloadSourceURL:      "https://downloads.example.com/labelprinter/4.2?lang=en&arch=x64",
		UserLanguage:           "en-GB",
		SHA1Hash:               "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
	}
}

func sampleApplicationAccessRequested(time.Time) Payload {
	return ApplicationAccessRequested{sampleApplicationAccess()}
}

func sampleApplicationAccessDecided(time.Time) Payload {
	return ApplicationAccessDecided{
		ApplicationAccess: sampleApplicationAccess(),
		Decision:          DecisionApproved,
		DecidedBy:         tomas(),
		DecisionReason:    "Signed by the vendor, fine for today",
	}
}
