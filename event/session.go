package event

import "time"

// Session is a remote session, or one member of it, under the names that privileged remote access products use for
// their form variables and e-mail macros.
type Session struct {
	ApplianceID    string `json:"appliance_id,omitempty" doc:"Id of the appliance that runs the session."`
	LSID           string `json:"lsid" doc:"Logging session id, the same for all events of one session."`
	ExternalKey    string `json:"external_key,omitempty" doc:"Key of the session in another system, for example a ticket number."`
	Username       string `json:"username,omitempty" doc:"Login name of the user the event is about."`
	UserID         string `json:"user_id,omitempty" doc:"Id of that user."`
	DisplayName    string `json:"display_name,omitempty" doc:"Name of that user as others see it."`
	Type           string `json:"type,omitempty" doc:"What that user is in the session, for example representative."`
	ConferenceName string `json:"conference_name,omitempty" doc:"Name of the session."`
	ConferenceID   string `json:"conference_id,omitempty" doc:"Id of the session within the appliance."`
}

// EventSubject is the logging session id.
func (s Session) EventSubject() string { return s.LSID }

// EventAttributes has external_key when the session has one, so that a route can ask for it with [WithAttribute].
func (s Session) EventAttributes() map[string]string {
	if s.ExternalKey == "" {
		return nil
	}
	return map[string]string{"external_key": s.ExternalKey}
}

// SessionStarted says that a session began.
type SessionStarted struct{ Session }

// SessionEnded says that a session is over.
type SessionEnded struct{ Session }

// SessionMemberJoined says that somebody entered a session.
type SessionMemberJoined struct{ Session }

// SessionMemberLeft says that somebody left a session.
type SessionMemberLeft struct{ Session }

// EventType is session.started.
func (SessionStarted) EventType() Type { return TypeSessionStarted }

// EventType is session.ended.
func (SessionEnded) EventType() Type { return TypeSessionEnded }

// EventType is session.member_joined.
func (SessionMemberJoined) EventType() Type { return TypeSessionMemberJoined }

// EventType is session.member_left.
func (SessionMemberLeft) EventType() Type { return TypeSessionMemberLeft }

func sampleSession() Session {
	return Session{
		ApplianceID:    "appliance-eu-1",
		LSID:           "f3b6a1d2c4e54b0f9a7de1c08b5a6f21",
		ExternalKey:    "INC-48213",
		Username:       "pnair",
		UserID:         "1041",
		DisplayName:    "Priya Nair",
		Type:           "representative",
		ConferenceName: "orders-db-01, replica lag",
		ConferenceID:   "conf-7781",
	}
}

func sampleVendor() Session {
	s := sampleSession()
	s.Username = "vendor.lukas"
	s.UserID = "2210"
	s.DisplayName = "Lukas Brandt (database vendor)"
	s.Type = "vendor"
	return s
}

func sampleSessionStarted(time.Time) Payload      { return SessionStarted{sampleSession()} }
func sampleSessionEnded(time.Time) Payload        { return SessionEnded{sampleSession()} }
func sampleSessionMemberJoined(time.Time) Payload { return SessionMemberJoined{sampleVendor()} }
func sampleSessionMemberLeft(time.Time) Payload   { return SessionMemberLeft{sampleVendor()} }
