package preset

import (
	"net/http"
	"regexp"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// ServiceNow creates an incident for every event through the Table API. instance is its address, such as
// https://example.service-now.com; auth is webhook.Basic, or a Bearer token. Filter the route's events: each becomes an
// incident. correlation_id is the event's correlation id, the same for all news about one subject of one tenant, so
// that a business rule on the table can turn later news into updates, and a repeated delivery into none; the Table API
// itself inserts whatever comes.
//
// Journal fields show HTML between [code] tags; these are broken up wherever an event's text has them, because rules
// copy descriptions into journals.
//
// Sources, read 2026-11: servicenow.com/docs, Table API, POST /now/table/{tableName} (sysparm_fields) and "Disable
// embedded HTML code". Recalled: 201 with result.sys_id; lengths of short_description (160), description (4000) and the
// correlation fields (100); a rate limit's 429 has Retry-After.
func ServiceNow(instance string, auth webhook.Auth) webhook.Config {
	return webhook.Config{
		URL:       joinedURL(instance, "/api/now/table/incident", "sysparm_fields=sys_id,number"),
		Auth:      auth,
		Headers:   []webhook.Header{{Name: "Accept", Value: "application/json"}},
		Body:      body(1<<20, serviceNowIncident),
		Success:   []int{http.StatusCreated},
		Interpret: readServiceNow,
	}
}

type serviceNow struct {
	Short         string `json:"short_description"`
	Description   string `json:"description"`
	Impact        string `json:"impact"`
	Urgency       string `json:"urgency"`
	CorrelationID string `json:"correlation_id"`
	Correlation   string `json:"correlation_display"`
}

func serviceNowIncident(m message) any {
	weight := serviceNowWeight(m.Severity)
	return serviceNow{
		Short:         notice.TruncateUTF16(withoutCode(m.Title), 160),
		Description:   prose(m.Notice, 4000, withoutCode),
		Impact:        weight,
		Urgency:       weight,
		CorrelationID: m.event.CorrelationID(100),
		Correlation:   notice.TruncateUTF16(string(m.event.Type()), 100),
	}
}

// serviceNowWeight is an impact or urgency: 1 is high, 3 is low.
func serviceNowWeight(s notice.Severity) string {
	switch s {
	case notice.Critical, notice.Error:
		return "1"
	case notice.Warning:
		return "2"
	default:
		return "3"
	}
}

var codeTag = regexp.MustCompile(`(?i)\[(/?code)`)

// withoutCode puts a blank into every [code] and [/code].
func withoutCode(s string) string { return codeTag.ReplaceAllString(s, "[ $1") }

func readServiceNow(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		Result struct {
			ID string `json:"sys_id"`
		} `json:"result"`
	}](a)
	return created(a, webhook.Reading{Verdict: v, ProviderID: said.Result.ID, OutcomeUnknown: maybeDone(a.Status)})
}
