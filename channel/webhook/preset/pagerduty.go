package preset

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// PagerDuty sends events to the Events API v2 with the integration's routing key, which is a secret in the body. For an
// account in the EU set URL to https://events.eu.pagerduty.com/v2/enqueue (recalled).
//
// The event's correlation id is the deduplication key, so that all news about a request or an alert are one incident:
// an event that opens a lifecycle triggers it; request.approved, alert.acknowledged and, when somebody had approved it,
// grant.active and grant.expiring_soon acknowledge it; the lifecycle's end resolves it. Access without an approval,
// such as break-glass access, acknowledges nothing, or the page would fall silent before anybody saw it. Events that
// are no part of a lifecycle trigger, and a person has to resolve them.
//
// A test event triggers an incident of its own, of severity info even where the event would be critical: it is to show
// that events arrive, and a service whose urgency follows the severity wakes nobody up for it (recalled).
//
// The route wants Order BySubject, or a retried trigger could come after its resolve; and an event filter, because
// every event that opens a lifecycle wakes somebody up.
//
// Source: PagerDuty/developer-docs, docs/events-API-v2, read 2026-11: fields and lengths, 512 KB, 202 with "status":
// "success" is success, 400 is not to be retried, 429 and 5xx are.
func PagerDuty(routingKey secret.Value) webhook.Config {
	return webhook.Config{
		URL:       "https://events.pagerduty.com/v2/enqueue",
		Body:      body(512<<10, pagerDutyEvent, routingKey),
		MaxBody:   512 << 10,
		Success:   []int{http.StatusAccepted},
		Interpret: readPagerDuty,
	}
}

// pagerDutyPause is what the vendor's page on rate limits advises after 429, for which no header is documented.
const pagerDutyPause = 30 * time.Second

type pagerDuty struct {
	RoutingKey string           `json:"routing_key"`
	Action     string           `json:"event_action"`
	DedupKey   string           `json:"dedup_key"` // at most 255 characters
	Payload    pagerDutyPayload `json:"payload"`
	Links      []pagerDutyLink  `json:"links,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string    `json:"summary"` // at most 1024 characters
	Source    string    `json:"source"`
	Severity  string    `json:"severity"` // critical, error, warning, info: the words of notice.Severity
	Timestamp time.Time `json:"timestamp"`
	Class     string    `json:"class"`
	Group     string    `json:"group,omitempty"`
	Details   details   `json:"custom_details"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

func pagerDutyEvent(m message) any {
	known := details{{Label: "Summary", Value: m.Summary}}
	if m.Status != "" {
		known = append(known, notice.Fact{Label: "Status", Value: m.Status})
	}
	p := pagerDuty{
		RoutingKey: m.secrets[0],
		Action:     pagerDutyAction(m),
		DedupKey:   m.event.CorrelationID(255),
		Payload: pagerDutyPayload{
			Summary:   m.Title,
			Source:    m.source(),
			Severity:  m.Severity.String(),
			Timestamp: m.event.Time(),
			Class:     string(m.event.Type()),
			Group:     m.event.Tenant(),
			Details:   append(known, m.Facts...),
		},
	}
	if m.Link != "" {
		p.Links = []pagerDutyLink{{m.Link, m.LinkText}}
	}
	return p
}

func pagerDutyAction(m message) string {
	switch {
	case m.Phase == notice.Closes:
		return "resolve"
	case m.Phase == notice.Updates && acknowledged(m.event):
		return "acknowledge"
	}
	return "trigger"
}

// acknowledged reports whether a person has taken care of what e is about.
func acknowledged(e event.Event) bool {
	switch e.Type() {
	case event.TypeAlertAcknowledged, event.TypeRequestApproved:
		return true
	case event.TypeGrantActive, event.TypeGrantExpiringSoon:
		var g event.Grant
		_ = json.Unmarshal(e.Data(), &g) // what does not fit was approved by nobody
		return slices.ContainsFunc(g.Approvals, func(a event.Approval) bool { return a.Status == event.ApprovalApproved })
	}
	return false
}

func readPagerDuty(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		Status   string `json:"status"`
		DedupKey string `json:"dedup_key"`
	}](a)
	r := expected(webhook.Reading{Verdict: v, ProviderID: said.DedupKey}, said.Status == "success")
	if a.Status == http.StatusTooManyRequests && a.Header.Get("Retry-After") == "" {
		r.RetryAfter = pagerDutyPause
	}
	return r
}

// details are facts as a JSON object, in their order. Its keys are the facts' labels; one that occurs again, as may
// happen with a host's own event, is numbered.
type details []notice.Fact

// MarshalJSON writes the object.
func (d details) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	seen := make(map[string]bool, len(d))
	for _, f := range d {
		label := f.Label
		for n := 2; seen[label]; n++ {
			label = f.Label + " " + strconv.Itoa(n)
		}
		seen[label] = true
		key, err := encode(label)
		if err != nil {
			return nil, err
		}
		value, err := encode(f.Value)
		if err != nil {
			return nil, err
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}
