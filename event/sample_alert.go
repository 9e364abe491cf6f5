package event

import "time"

func sampleAlert(previous, status AlertStatus, updated time.Duration) Alert {
	return Alert{
		AlertID:          "alert-66210",
		AlertTitle:       "Administrator role given outside a change window",
		Category:         "Privileged access",
		Description:      "Somebody received an administrator role between 20:00 and 06:00",
		DIEvent:          "admin_role_assigned",
		EventDescription: "Ingrid Solberg gave the role Administrator to svc-backup",
		InitiatedBy:      "ingrid.solberg@example.com",
		OccurredAt:       sampleAt(0),
		PreviousStatus:   previous,
		Priority:         PriorityHigh,
		RuleID:           "rule-318",
		SourceID:         "svc-0044",
		SourceName:       "svc-backup",
		SourceType:       "service_account",
		SourceURL:        "https://directory.example.com/accounts/svc-0044",
		Status:           status,
		UpdateAt:         sampleAt(updated),
	}
}

func sampleAlertOpened() Payload {
	return AlertOpened{sampleAlert("", AlertStatusOpen, time.Minute)}
}

func sampleAlertAcknowledged() Payload {
	return AlertAcknowledged{sampleAlert(AlertStatusOpen, AlertStatusAcknowledged, 6*time.Minute)}
}

func sampleAlertResolved() Payload {
	return AlertResolved{sampleAlert(AlertStatusAcknowledged, AlertStatusResolved, 41*time.Minute)}
}

func sampleAlertAutoResolved() Payload {
	return AlertAutoResolved{sampleAlert(AlertStatusOpen, AlertStatusAutoResolved, 41*time.Minute)}
}
