package event

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

func sampleSessionStarted() Payload      { return SessionStarted{sampleSession()} }
func sampleSessionEnded() Payload        { return SessionEnded{sampleSession()} }
func sampleSessionMemberJoined() Payload { return SessionMemberJoined{sampleVendor()} }
func sampleSessionMemberLeft() Payload   { return SessionMemberLeft{sampleVendor()} }
