package event

import "time"

func sampleGrant() Grant {
	return Grant{
		AccessRequest: sampleApproved(),
		Granted: Granted{
			ID:        "grant-9302",
			StartsAt:  sampleAt(8 * time.Minute),
			ExpiresAt: sampleAt(4*time.Hour + 8*time.Minute),
		},
	}
}

func sampleGrantActive() Payload       { return GrantActive{sampleGrant()} }
func sampleGrantExpiringSoon() Payload { return GrantExpiringSoon{sampleGrant()} }
func sampleGrantExpired() Payload      { return GrantExpired{sampleGrant()} }

func sampleGrantRevoked() Payload {
	g := sampleGrant()
	g.RevocationDate = sampleAt(95 * time.Minute)
	g.Granted.ExpiresAt = g.RevocationDate
	return GrantRevoked{Grant: g, RevokedBy: ingrid(), Reason: "INC-48213 is resolved"}
}

func sampleGrantFailed() Payload {
	g := sampleGrant()
	g.Granted = Granted{ID: "grant-9302"}
	return GrantFailed{Grant: g, Failure: "orders-production refused to create the role: too many connections"}
}
