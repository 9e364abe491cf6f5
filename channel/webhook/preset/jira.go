package preset

import (
	"net/http"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Jira creates an issue in Jira Cloud for every event. site is its address, such as https://example.atlassian.net; auth
// is webhook.Basic with an e-mail address and an API token, or a Bearer token; project is a key such as "PAM";
// issueType a name such as "Task". A field that the project demands besides summary and description makes Jira answer
// 400, which is final.
//
// Jira has no idempotency key. The issue carries the property "tocsin" with the ids of delivery and event and the
// subject, by which a duplicate can be recognised; that of a test has "test" in place of the subject. After a response
// that leaves open whether an issue was created, the receipt says so.
//
// Sources, read 2026-11: developer.atlassian.com, Jira REST API v3, "Create issue" (fields, properties) and "Rate
// limiting" (429, and 503 with Retry-After; X-RateLimit-Reset in ISO 8601), Atlassian Document Format and its JSON
// schema; a description over 32767 characters is refused. Recalled: 201 with the issue's key; summaries are one line of
// 255.
func Jira(site string, auth webhook.Auth, project, issueType string) webhook.Config {
	return webhook.Config{
		URL:       joinedURL(site, "/rest/api/3/issue", ""),
		Auth:      auth,
		Headers:   []webhook.Header{{Name: "Accept", Value: "application/json"}},
		Body:      body(jiraRoom, func(m message) any { return jiraIssue(m, project, issueType) }),
		Success:   []int{http.StatusCreated},
		RateLimit: webhook.ResetAtISO8601,
		Interpret: readJira,
	}
}

// jiraRoom is for the whole request, so that the description is below its limit however its characters are counted.
const jiraRoom = 32_000

type jira struct {
	Fields     jiraFields     `json:"fields"`
	Properties []jiraProperty `json:"properties"`
}

type jiraFields struct {
	Project     map[string]string `json:"project"`
	IssueType   map[string]string `json:"issuetype"`
	Summary     string            `json:"summary"`
	Description adf               `json:"description"`
}

type jiraProperty struct {
	Key   string            `json:"key"`
	Value map[string]string `json:"value"`
}

// adf is a node of the Atlassian Document Format.
type adf struct {
	Version int            `json:"version,omitempty"`
	Type    string         `json:"type"`
	Attrs   map[string]any `json:"attrs,omitempty"`
	Text    string         `json:"text,omitempty"`
	Marks   []adf          `json:"marks,omitempty"`
	Content []adf          `json:"content,omitempty"`
}

func jiraIssue(m message, project, issueType string) any {
	rows := make([]adf, 0, len(m.Facts))
	for _, f := range m.Facts {
		cell := adf{Type: "tableCell"}
		for _, l := range lines(f.Value) {
			cell.Content = append(cell.Content, paragraph(l))
		}
		header := adf{Type: "tableHeader", Content: []adf{paragraph(f.Label)}}
		rows = append(rows, adf{Type: "tableRow", Content: []adf{header, cell}})
	}
	document := adf{Version: 1, Type: "doc", Content: []adf{paragraph(m.Summary), {Type: "table", Content: rows}}}
	if m.Link != "" {
		p := paragraph(m.LinkText, adf{Type: "link", Attrs: map[string]any{"href": m.Link}})
		document.Content = append(document.Content, p)
	}
	ids := map[string]string{"delivery_id": m.id, "event_id": m.event.ID(), "event_type": string(m.event.Type())}
	if m.event.IsTest() {
		ids["test"] = "true"
	} else {
		ids["subject"] = m.event.Subject()
	}
	return jira{
		Fields: jiraFields{
			Project:     map[string]string{"key": project},
			IssueType:   map[string]string{"name": issueType},
			Summary:     notice.TruncateUTF16(m.Title, 255),
			Description: document,
		},
		Properties: []jiraProperty{{"tocsin", ids}},
	}
}

// paragraph holds s, which is not empty: Jira refuses an empty text node.
func paragraph(s string, marks ...adf) adf {
	return adf{Type: "paragraph", Content: []adf{{Type: "text", Text: s, Marks: marks}}}
}

// readJira takes the name of the first field that Jira complains about.
func readJira(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		Key    string            `json:"key"`
		Errors map[string]string `json:"errors"`
	}](a)
	r := webhook.Reading{Verdict: v, ProviderID: said.Key, OutcomeUnknown: maybeDone(a.Status)}
	for field := range said.Errors {
		if field = name(field); r.Reason == "" || field != "" && field < r.Reason {
			r.Reason = field
		}
	}
	return created(a, r)
}
