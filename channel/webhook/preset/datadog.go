package preset

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Datadog posts to the event stream of site US1. For another site set URL, for example to
// https://api.datadoghq.eu/api/v1/events. News about one subject are grouped.
//
// The event's time is in the text and not in date_happened: Datadog refuses what is older than 18 hours, and a delivery
// may be retried for longer. Text is sent without Markdown, and an @ that would notify somebody is replaced by its
// full-width form.
//
// Sources, read 2026-11: docs.datadoghq.com, "Post an event" v1, and DataDog's API clients (aggregation_key of 100
// characters, alert types, 18 hours); events are limited to 4000 characters and their titles, in v2, to 100. Recalled:
// 202; X-RateLimit-Reset is in seconds from now; "status": "ok" in the response; %%% begins Markdown; @ notifies.
func Datadog(key secret.Value) webhook.Config {
	return webhook.Config{
		URL:       "https://api.datadoghq.com/api/v1/events",
		Headers:   []webhook.Header{{Name: "DD-API-KEY", Secret: key}},
		Body:      body(1<<20, datadogEvent),
		Success:   []int{http.StatusOK, http.StatusAccepted},
		RateLimit: webhook.ResetInSeconds,
		Interpret: readDatadog,
	}
}

type datadog struct {
	Title       string   `json:"title"`
	Text        string   `json:"text"`
	AlertType   string   `json:"alert_type"`
	Priority    string   `json:"priority"`
	Aggregation string   `json:"aggregation_key"`
	Tags        []string `json:"tags"`
}

func datadogEvent(m message) any {
	d := datadog{
		Title:       notice.TruncateUTF16(withoutActions(m.Title), 100),
		Text:        prose(m.Notice, 4000, withoutActions),
		AlertType:   datadogAlert(m.Notice),
		Priority:    "normal",
		Aggregation: m.event.CorrelationID(100),
		Tags:        []string{tag("event_type", string(m.event.Type())), tag("severity", m.Severity.String())},
	}
	if m.Severity == notice.Info {
		d.Priority = "low"
	}
	if t := m.event.Tenant(); t != "" {
		d.Tags = append(d.Tags, tag("tenant", t))
	}
	if m.event.IsTest() {
		d.Tags = append(d.Tags, tag("test", "true"))
	}
	return d
}

func datadogAlert(n notice.Notice) string {
	switch {
	case n.Severity >= notice.Error:
		return "error"
	case n.Severity == notice.Warning:
		return "warning"
	case isGood(n):
		return "success"
	}
	return "info"
}

// withoutActions takes the meaning from what Datadog would act on: @ at the beginning of a word, and %%%.
func withoutActions(s string) string {
	var b strings.Builder
	before, percents := ' ', 0
	for _, r := range s {
		if r != '%' {
			percents = 0
		} else if percents++; percents == 3 {
			b.WriteByte(' ')
			percents = 1
		}
		if r == '@' && !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			r = '＠'
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}

// tag is "key:value" in at most 200 characters, with an underscore for what tags may not hold.
func tag(key, value string) string {
	s := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-:./", r)) {
			return unicode.ToLower(r)
		}
		return '_'
	}, key+":"+value)
	return s[:min(len(s), 200)]
}

func readDatadog(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		Status string `json:"status"`
		Event  struct {
			ID json.Number `json:"id"`
		} `json:"event"`
	}](a)
	return expected(webhook.Reading{Verdict: v, ProviderID: said.Event.ID.String()}, said.Status == "ok")
}
