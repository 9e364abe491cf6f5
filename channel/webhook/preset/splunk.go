package preset

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Splunk sends events to an HTTP Event Collector as they are, for searches: event is the event's JSON form, and what
// one searches by is indexed beside it. collector is its address, such as https://splunk.example.com:8088; token is the
// collector's, without the word Splunk. The source type is tocsin:event; index and host are the token's.
//
// Sources, read 2026-11: help.splunk.com, "HTTP Event Collector REST API endpoints" (services/collector/event, the
// token scheme, the envelope); the status codes as the community lists them: 200 with code 0 is success, 400, 401 and
// 403 (codes 1 to 7, 10 to 16) are final, 500 (8) and 503 (9, 18 to 23) are not.
func Splunk(collector string, token secret.Value) webhook.Config {
	return webhook.Config{
		URL:       joinedURL(collector, "/services/collector/event", ""),
		Auth:      webhook.Scheme("Splunk", token),
		Body:      body(1<<20, splunkEvent),
		Success:   []int{http.StatusOK},
		Interpret: readSplunk,
	}
}

type splunk struct {
	Time       json.Number       `json:"time"` // epoch seconds with milliseconds
	Source     string            `json:"source"`
	SourceType string            `json:"sourcetype"`
	Event      json.RawMessage   `json:"event"`
	Fields     map[string]string `json:"fields"` // indexed; a flat object of strings
}

func splunkEvent(m message) any {
	at := max(m.event.Time().UnixMilli(), 0) // there is no earlier time in an index
	fields := map[string]string{
		"event_type": string(m.event.Type()), "severity": m.Severity.String(), "title": m.Title, "delivery_id": m.id,
	}
	for key, value := range map[string]string{"status": m.Status, "subject": m.event.Subject(), "tenant": m.event.Tenant(), "link": m.Link} {
		if value != "" {
			fields[key] = value
		}
	}
	if m.event.IsTest() {
		fields["test"] = "true"
	}
	return splunk{
		Time:       json.Number(fmt.Sprintf("%d.%03d", at/1000, at%1000)),
		Source:     m.source(),
		SourceType: "tocsin:event",
		Event:      m.event.JSON(),
		Fields:     fields,
	}
}

// readSplunk believes the code rather than the status: 200 with another code than the number 0, or without one, is no
// success.
func readSplunk(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		Code *float64 `json:"code"` // not json.Number, which takes "0" as well
	}](a)
	r := webhook.Reading{Verdict: v}
	switch {
	case said.Code == nil:
		return expected(r, false)
	case *said.Code == 0:
		return r
	}
	r.Reason = "code " + strconv.FormatFloat(*said.Code, 'g', -1, 64)
	if v == retry.VerdictSuccess {
		r.Verdict = retry.VerdictTransient
		if slices.Contains([]float64{5, 6, 7, 12, 13, 15, 16}, *said.Code) { // about what was sent
			r.Verdict = retry.VerdictPermanent
		}
	}
	return r
}
