package preset

import (
	"net/http"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Teams posts an Adaptive Card to a workflow of Microsoft Teams that starts "when a Teams webhook request is received".
// url is the workflow's address; the signature in it is the secret, and what a URL holds behind the host is hidden
// everywhere. Connectors of the older kind (outlook.office.com/webhook) were retired in 2026.
//
// Everything an event says is a TextRun of a RichTextBlock, the one element of a card whose text is not Markdown.
//
// Sources, read 2026-11: learn.microsoft.com/adaptive-cards, "Text features": no Markdown in RichTextBlock;
// learn.microsoft.com/connectors/teams: messages of about 28 KB, more is refused; microsoft/AdaptiveCards,
// schemas/1.5.0/adaptive-card.json. Recalled: Teams shows cards up to version 1.5; a workflow answers 202 without a
// body, or what its own Response action says, which is taken for a success when it is JSON.
func Teams(url string) webhook.Config {
	return webhook.Config{
		URL:     url,
		Body:    body(teamsRoom, teamsMessage),
		MaxBody: 28 << 10,
		Success: []int{http.StatusOK, http.StatusAccepted},
		Interpret: func(a webhook.Response, v retry.Verdict) webhook.Reading {
			return expected(webhook.Reading{Verdict: v}, len(a.Body) == 0 || isJSON(a))
		},
	}
}

// teamsRoom leaves a quarter of the 28 KB to what Teams adds to a card, which nobody says.
const teamsRoom = 21 << 10

type teams struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string        `json:"$schema"`
	Type    string        `json:"type"`
	Version string        `json:"version"`
	Body    []any         `json:"body"`
	Actions []teamsAction `json:"actions,omitempty"`
}

type teamsBlock struct {
	Type    string     `json:"type"` // RichTextBlock
	Spacing string     `json:"spacing,omitempty"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"` // TextRun
	Text   string `json:"text"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type teamsColumns struct {
	Type    string        `json:"type"` // ColumnSet
	Spacing string        `json:"spacing,omitempty"`
	Columns []teamsColumn `json:"columns"`
}

type teamsColumn struct {
	Type  string       `json:"type"` // Column
	Width any          `json:"width"`
	Items []teamsBlock `json:"items"`
}

type teamsAction struct {
	Type  string `json:"type"` // Action.OpenUrl
	Title string `json:"title"`
	URL   string `json:"url"`
}

func teamsMessage(m message) any {
	card := teamsCard{
		Schema:  "http://adaptivecards.io/schemas/adaptive-card.json",
		Type:    "AdaptiveCard",
		Version: "1.5",
		Body: []any{
			block("", teamsRun{Text: m.Title, Size: "Large", Weight: "Bolder", Color: teamsColour(m.Notice)}),
			block("", teamsRun{Text: m.Summary}),
		},
	}
	for _, f := range m.Facts {
		value := teamsColumn{Type: "Column", Width: 3}
		for _, l := range lines(f.Value) {
			value.Items = append(value.Items, block("None", teamsRun{Text: l}))
		}
		label := teamsColumn{"Column", 1, []teamsBlock{block("None", teamsRun{Text: f.Label, Weight: "Bolder"})}}
		card.Body = append(card.Body, teamsColumns{"ColumnSet", "Small", []teamsColumn{label, value}})
	}
	if m.Link != "" {
		card.Actions = []teamsAction{{"Action.OpenUrl", m.LinkText, m.Link}}
	}
	return teams{"message", []teamsAttachment{{"application/vnd.microsoft.card.adaptive", card}}}
}

func block(spacing string, r teamsRun) teamsBlock {
	r.Type = "TextRun"
	return teamsBlock{"RichTextBlock", spacing, []teamsRun{r}}
}

// teamsColour is one of the colours of Adaptive Cards, which follow the reader's theme.
func teamsColour(n notice.Notice) string {
	switch {
	case n.Severity >= notice.Error:
		return "Attention"
	case n.Severity == notice.Warning:
		return "Warning"
	case isGood(n):
		return "Good"
	}
	return "Accent"
}
