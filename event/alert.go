package event

import "time"

// Alert is a finding of a monitoring rule. All 17 fields are always present, in alphabetical order, so that the data of
// an alert event is the flat alert body that receivers of such alerts expect.
type Alert struct {
	AlertID          string        `json:"alert_id" doc:"Id of the alert, the same in all its states."`
	AlertTitle       string        `json:"alert_title" doc:"What it is about, in one line."`
	Category         string        `json:"category" doc:"Group of rules it belongs to."`
	Description      string        `json:"description" doc:"What the rule looks for."`
	DIEvent          string        `json:"di_event" doc:"Name of the directory event that raised it."`
	EventDescription string        `json:"event_description" doc:"What happened."`
	InitiatedBy      string        `json:"initiated_by" doc:"Who or what caused it."`
	OccurredAt       Timestamp     `json:"occurred_at" doc:"When it happened, in epoch seconds."`
	PreviousStatus   AlertStatus   `json:"previous_alert_status" blank:"true" doc:"State before this one; empty for a new alert."`
	Priority         AlertPriority `json:"priority" doc:"How urgent it is."`
	RuleID           string        `json:"rule_id" doc:"Id of the rule that raised it."`
	SourceID         string        `json:"source_id" doc:"Id of what it was found on."`
	SourceName       string        `json:"source_name" doc:"Name of what it was found on."`
	SourceType       string        `json:"source_type" doc:"What it was found on, for example device."`
	SourceURL        string        `json:"source_url" doc:"Link to what it was found on."`
	Status           AlertStatus   `json:"status" doc:"State of the alert."`
	UpdateAt         Timestamp     `json:"update_at" doc:"When it last changed, in epoch seconds; null when it never did."`
}

// EventSubject is the alert's id.
func (a Alert) EventSubject() string { return a.AlertID }

// AlertPriority says how urgent an alert is.
type AlertPriority string

// The priorities, most urgent first.
const (
	PriorityCritical AlertPriority = "Critical"
	PriorityHigh     AlertPriority = "High"
	PriorityMedium   AlertPriority = "Medium"
	PriorityLow      AlertPriority = "Low"
)

func (AlertPriority) enum() []string {
	return []string{string(PriorityCritical), string(PriorityHigh), string(PriorityMedium), string(PriorityLow)}
}

// AlertStatus is the state of an alert.
type AlertStatus string

// The states of an alert.
const (
	AlertStatusOpen         AlertStatus = "Open"
	AlertStatusAcknowledged AlertStatus = "Acknowledged"
	AlertStatusResolved     AlertStatus = "Resolved"
	AlertStatusAutoResolved AlertStatus = "Auto-Resolved"
)

func (AlertStatus) enum() []string {
	return []string{
		string(AlertStatusOpen), string(AlertStatusAcknowledged),
		string(AlertStatusResolved), string(AlertStatusAutoResolved),
	}
}

// AlertOpened says that a rule raised an alert.
type AlertOpened struct{ Alert }

// AlertAcknowledged says that somebody looks after the alert.
type AlertAcknowledged struct{ Alert }

// AlertResolved says that somebody closed the alert.
type AlertResolved struct{ Alert }

// AlertAutoResolved says that the cause of the alert went away.
type AlertAutoResolved struct{ Alert }

// EventType is alert.opened.
func (AlertOpened) EventType() Type { return TypeAlertOpened }

// EventType is alert.acknowledged.
func (AlertAcknowledged) EventType() Type { return TypeAlertAcknowledged }

// EventType is alert.resolved.
func (AlertResolved) EventType() Type { return TypeAlertResolved }

// EventType is alert.auto_resolved.
func (AlertAutoResolved) EventType() Type { return TypeAlertAutoResolved }

func sampleAlert(start time.Time, previous, status AlertStatus, updated time.Duration) Alert {
	return Alert{
		AlertID:          "alert-66210",
		AlertTitle:       "Administrator role given outside a change window",
		Category:         "Privileged access",
		Description:      "Somebody received an administrator role between 20:00 and 06:00",
		DIEvent:          "admin_role_assigned",
		EventDescription: "Ingrid Solberg gave the role Administrator to svc-backup",
		InitiatedBy:      "ingrid.solberg@example.com",
		OccurredAt:       At(start),
		PreviousStatus:   previous,
		Priority:         PriorityHigh,
		RuleID:           "rule-318",
		SourceID:         "svc-0044",
		SourceName:       "svc-backup",
		SourceType:       "service_account",
		SourceURL:        "https://directory.example.com/accounts/svc-0044",
		Status:           status,
		UpdateAt:         At(start.Add(updated)),
	}
}

func sampleAlertOpened(start time.Time) Payload {
	return AlertOpened{sampleAlert(start, "", AlertStatusOpen, time.Minute)}
}

func sampleAlertAcknowledged(start time.Time) Payload {
	return AlertAcknowledged{sampleAlert(start, AlertStatusOpen, AlertStatusAcknowledged, 6*time.Minute)}
}

func sampleAlertResolved(start time.Time) Payload {
	return AlertResolved{sampleAlert(start, AlertStatusAcknowledged, AlertStatusResolved, 41*time.Minute)}
}

func sampleAlertAutoResolved(start time.Time) Payload {
	return AlertAutoResolved{sampleAlert(start, AlertStatusOpen, AlertStatusAutoResolved, 41*time.Minute)}
}
