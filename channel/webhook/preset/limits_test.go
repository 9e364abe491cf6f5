package preset_test

import (
	"bytes"
	"encoding/json"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// The checkers here are written from what the vendors document, with all their fields, and not from the presets.

// parse decodes body into v, which names every field the vendor documents: others, keys that occur twice, and text that
// is not UTF-8 fail the test.
func parse(t *testing.T, body []byte, v any) {
	t.Helper()
	require.True(t, utf8.Valid(body))
	noTwins(t, body)
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(v), "%s", body)
}

// noTwins fails when an object has a key twice, which decoders forgive.
func noTwins(t *testing.T, body []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	var walk func()
	walk = func() {
		token, err := dec.Token()
		require.NoError(t, err)
		switch token {
		case json.Delim('{'):
			keys := make(map[any]bool)
			for dec.More() {
				key, err := dec.Token()
				require.NoError(t, err)
				assert.False(t, keys[key], "key %q occurs twice", key)
				keys[key] = true
				walk()
			}
			_, err = dec.Token()
			require.NoError(t, err)
		case json.Delim('['):
			for dec.More() {
				walk()
			}
			_, err = dec.Token()
			require.NoError(t, err)
		}
	}
	walk()
	assert.False(t, dec.More())
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// within fails when s is empty or has more than most characters in either way of counting.
func within(t *testing.T, what, s string, most int) {
	t.Helper()
	assert.NotEmpty(t, strings.TrimSpace(s), what)
	assert.LessOrEqual(t, units(s), most, what)
}

func isLink(t *testing.T, s string) {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	assert.Contains(t, []string{"https", "http"}, u.Scheme)
	assert.NotEmpty(t, u.Host)
	assert.Nil(t, u.User)
}

func checkSendGrid(t *testing.T, e event.Event, body []byte) {
	t.Helper()
	type address struct{ Email, Name string }
	var m struct {
		Personalizations []struct {
			To, Cc, Bcc []address
			From        *address
			Subject     string
		}
		From    address
		Subject string
		Content []struct{ Type, Value string }
		Headers map[string]string
		Args    map[string]string           `json:"custom_args"`
		Track   map[string]map[string]*bool `json:"tracking_settings"`
		ReplyTo *address                    `json:"reply_to"`
	}
	parse(t, body, &m)
	assert.NotEmpty(t, m.Personalizations)
	assert.LessOrEqual(t, len(m.Personalizations), 1000)
	var to []string
	for _, p := range m.Personalizations {
		require.Len(t, p.To, 1, "recipients do not see each other")
		assert.Empty(t, p.Cc)
		assert.Empty(t, p.Bcc)
		_, err := mail.ParseAddress(p.To[0].Email)
		require.NoError(t, err)
		to = append(to, p.To[0].Email)
	}
	assert.Equal(t, []string{"on-call@example.com", "audit@example.com"}, to)
	assert.Equal(t, address{"pam@example.com", "PAM"}, m.From)
	within(t, "subject", m.Subject, 255)
	assert.NotContains(t, m.Subject, "\n")
	assert.NotContains(t, m.Subject, "=?")
	require.Len(t, m.Content, 2)
	assert.Equal(t, "text/plain", m.Content[0].Type, "first, as the API demands")
	assert.Equal(t, "text/html", m.Content[1].Type)
	for _, c := range m.Content {
		assert.NotEmpty(t, c.Value)
	}
	checkHTML(t, m.Content[1].Value)
	for name := range m.Headers {
		reserved := []string{"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from", "subject", "reply-to", "cc", "bcc"}
		assert.NotContains(t, reserved, strings.ToLower(name))
	}
	args, err := json.Marshal(m.Args)
	require.NoError(t, err)
	assert.Less(t, len(args), 10_000)
	assert.Equal(t, e.ID(), m.Args["event_id"])
	assert.Less(t, len(body), 30<<20)
}

var (
	htmlTag   = regexp.MustCompile(`<[^>]*>`)
	ownTag    = regexp.MustCompile(`^</?(html|body|h2|p|table|tr|td|a)>$|^<!DOCTYPE html>$|^<br>$|^</th>$|^<th align="left" valign="top">$|^<table cellpadding="4">$|^<body style="font-family:sans-serif">$|^<a href="https://[^"<>]*">$`)
	escaped   = regexp.MustCompile(`\\[^0-9A-Za-z\s]`)
	meaning   = regexp.MustCompile("[\\\\*_~`|<>\\[\\]#]|://|@everyone|@here")
	mention   = regexp.MustCompile(`(^|[^\pL\pN])@`)
	validTag  = regexp.MustCompile(`^[a-z][a-z0-9_:./-]{0,199}$`)
	epochTime = regexp.MustCompile(`^[0-9]+\.[0-9]{3}$`)
)

// checkHTML: the elements are the preset's, and the only link is the event's.
func checkHTML(t *testing.T, page string) {
	t.Helper()
	tags := make(map[string]bool)
	for _, tag := range htmlTag.FindAllString(page, -1) {
		tags[tag] = true
	}
	for tag := range tags {
		assert.Regexp(t, ownTag, tag)
	}
}

func checkPagerDuty(t *testing.T, e event.Event, body []byte) {
	t.Helper()
	var m struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		DedupKey   string `json:"dedup_key"`
		Client     string
		ClientURL  string `json:"client_url"`
		Payload    struct {
			Summary, Source, Severity, Component, Group, Class, Timestamp string
			Details                                                       map[string]string `json:"custom_details"`
		}
		Images []any
		Links  []struct{ Href, Text string }
	}
	parse(t, body, &m)
	assert.Equal(t, routingKey, m.RoutingKey)
	assert.Len(t, m.RoutingKey, 32)
	assert.Contains(t, []string{"trigger", "acknowledge", "resolve"}, m.Action)
	within(t, "dedup_key", m.DedupKey, 255)
	within(t, "summary", m.Payload.Summary, 1024)
	assert.NotEmpty(t, m.Payload.Source)
	assert.Contains(t, []string{"critical", "error", "warning", "info"}, m.Payload.Severity)
	_, err := time.Parse(time.RFC3339, m.Payload.Timestamp)
	require.NoError(t, err)
	assert.NotEmpty(t, m.Payload.Details)
	for _, l := range m.Links {
		isLink(t, l.Href)
		assert.NotEmpty(t, l.Text)
	}
	assert.LessOrEqual(t, len(body), 512<<10)
	assert.Equal(t, string(e.Type()), m.Payload.Class)
}

func checkTeams(t *testing.T, _ event.Event, body []byte) {
	t.Helper()
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string
			ContentURL  *string
			Content     struct {
				Schema  string `json:"$schema"`
				Type    string
				Version string
				Body    []map[string]any
				Actions []struct{ Type, Title, URL string }
			}
		}
	}
	parse(t, body, &m)
	assert.Equal(t, "message", m.Type)
	require.Len(t, m.Attachments, 1)
	assert.Equal(t, "application/vnd.microsoft.card.adaptive", m.Attachments[0].ContentType)
	card := m.Attachments[0].Content
	assert.Equal(t, "AdaptiveCard", card.Type)
	assert.Contains(t, []string{"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}, card.Version)
	assert.NotEmpty(t, card.Body)
	for _, element := range card.Body {
		checkCardElement(t, element)
	}
	for _, a := range card.Actions {
		assert.Equal(t, "Action.OpenUrl", a.Type)
		assert.NotEmpty(t, a.Title)
		isLink(t, a.URL)
	}
	assert.LessOrEqual(t, len(body), 28<<10)
}

// checkCardElement knows the elements of Adaptive Cards that need no Markdown, with their properties as of version 1.5.
func checkCardElement(t *testing.T, element map[string]any) {
	t.Helper()
	keys := func(allowed ...string) {
		for key := range element {
			assert.Contains(t, append(allowed, "type", "id", "separator", "spacing", "height", "isVisible"), key, element["type"])
		}
	}
	if s, ok := element["spacing"]; ok {
		assert.Contains(t, []any{"default", "none", "small", "medium", "large", "extraLarge", "padding"}, strings.ToLower(s.(string)[:1])+s.(string)[1:])
	}
	children := func(key string) {
		list, ok := element[key].([]any)
		require.True(t, ok, key)
		require.NotEmpty(t, list)
		for _, child := range list {
			checkCardElement(t, child.(map[string]any))
		}
	}
	switch element["type"] {
	case "RichTextBlock":
		keys("inlines", "horizontalAlignment")
		children("inlines")
	case "TextRun":
		keys("text", "color", "fontType", "highlight", "isSubtle", "italic", "size", "strikethrough", "underline", "weight")
		assert.NotEmpty(t, strings.TrimSpace(element["text"].(string)))
		assert.Contains(t, []any{nil, "Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"}, element["color"])
		assert.Contains(t, []any{nil, "Small", "Default", "Medium", "Large", "ExtraLarge"}, element["size"])
		assert.Contains(t, []any{nil, "Lighter", "Default", "Bolder"}, element["weight"])
	case "ColumnSet":
		keys("columns", "style", "bleed", "minHeight", "horizontalAlignment")
		children("columns")
	case "Column":
		keys("items", "width", "style", "verticalContentAlignment", "minHeight", "bleed")
		assert.IsType(t, 1.0, element["width"], "a weight")
		children("items")
	default:
		t.Errorf("element %v: its text could be Markdown, or it is not known", element["type"])
	}
}

func checkDiscord(t *testing.T, _ event.Event, body []byte) {
	t.Helper()
	var m struct {
		Content  *string
		Username *string
		Embeds   []struct {
			Title, Type, Description, URL, Timestamp string
			Color                                    int
			Footer                                   *struct{ Text string }
			Author                                   *struct{ Name string }
			Fields                                   []struct {
				Name, Value string
				Inline      bool
			}
		}
		Mentions map[string]json.RawMessage `json:"allowed_mentions"`
	}
	parse(t, body, &m)
	assert.Equal(t, map[string]json.RawMessage{"parse": json.RawMessage("[]")}, m.Mentions)
	require.NotEmpty(t, m.Embeds)
	assert.LessOrEqual(t, len(m.Embeds), 10)
	total := 0
	for _, e := range m.Embeds {
		within(t, "title", e.Title, 256)
		within(t, "description", e.Description, 4096)
		assert.LessOrEqual(t, len(e.Fields), 25)
		assert.LessOrEqual(t, e.Color, 0xFFFFFF)
		_, err := time.Parse(time.RFC3339, e.Timestamp)
		require.NoError(t, err)
		if e.URL != "" {
			isLink(t, e.URL)
		}
		texts := []string{e.Title, e.Description}
		for _, f := range e.Fields {
			within(t, "name", f.Name, 256)
			within(t, "value", f.Value, 1024)
			texts = append(texts, f.Name, f.Value)
		}
		for _, s := range texts {
			total += units(s)
			plainMarkdown(t, s)
		}
	}
	assert.LessOrEqual(t, total, 6000)
}

// plainMarkdown: without its escaped characters, s has nothing left that Discord's Markdown gives a meaning to.
func plainMarkdown(t *testing.T, s string) {
	t.Helper()
	rest := escaped.ReplaceAllString(s, "x")
	assert.NotRegexp(t, meaning, rest)
}

func checkJira(t *testing.T, e event.Event, body []byte) {
	t.Helper()
	var m struct {
		Fields struct {
			Project     struct{ Key, ID string }
			IssueType   struct{ Name, ID string }
			Summary     string
			Description map[string]any
		}
		Properties []struct {
			Key   string
			Value map[string]string
		}
		Update map[string]any
	}
	parse(t, body, &m)
	assert.Equal(t, "PAM", m.Fields.Project.Key)
	assert.Equal(t, "Task", m.Fields.IssueType.Name)
	within(t, "summary", m.Fields.Summary, 255)
	assert.NotContains(t, m.Fields.Summary, "\n")
	assert.InDelta(t, 1, m.Fields.Description["version"], 0)
	checkADF(t, "", m.Fields.Description)
	assert.LessOrEqual(t, len(body), 32767, "the description is shorter still")
	require.Len(t, m.Properties, 1)
	assert.Equal(t, e.ID(), m.Properties[0].Value["event_id"])
}

// checkADF knows which node may stand in which, as the structure page says, and that no text is empty.
func checkADF(t *testing.T, parent string, node map[string]any) {
	t.Helper()
	kind, _ := node["type"].(string)
	allowed := map[string][]string{
		"": {"doc"}, "doc": {"paragraph", "table", "heading", "rule", "panel"}, "table": {"tableRow"}, "tableRow": {"tableCell", "tableHeader"},
		"tableCell": {"paragraph"}, "tableHeader": {"paragraph"}, "paragraph": {"text", "hardBreak"},
	}
	require.Contains(t, allowed[parent], kind)
	if kind == "text" {
		assert.NotEmpty(t, node["text"])
		assert.NotContains(t, node, "content")
		for _, mark := range asList(node["marks"]) {
			m := mark.(map[string]any)
			assert.Equal(t, "link", m["type"])
			isLink(t, m["attrs"].(map[string]any)["href"].(string))
		}
		return
	}
	assert.NotContains(t, node, "text")
	assert.NotEmpty(t, node["content"])
	for _, child := range asList(node["content"]) {
		checkADF(t, kind, child.(map[string]any))
	}
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

func checkServiceNow(t *testing.T, e event.Event, body []byte) {
	t.Helper()
	var m struct {
		Short   string `json:"short_description"`
		Text    string `json:"description"`
		Impact  string
		Urgency string
		ID      string `json:"correlation_id"`
		Display string `json:"correlation_display"`
	}
	parse(t, body, &m)
	within(t, "short_description", m.Short, 160)
	assert.NotContains(t, m.Short, "\n")
	within(t, "description", m.Text, 4000)
	within(t, "correlation_id", m.ID, 100)
	within(t, "correlation_display", m.Display, 100)
	assert.Contains(t, []string{"1", "2", "3"}, m.Impact)
	assert.Contains(t, []string{"1", "2", "3"}, m.Urgency)
	for _, s := range []string{m.Short, m.Text} {
		assert.NotContains(t, strings.ToLower(s), "[code")
		assert.NotContains(t, strings.ToLower(s), "[/code")
	}
	assert.Equal(t, string(e.Type()), m.Display)
}

func checkSplunk(t *testing.T, e event.Event, body []byte) {
	t.Helper()
	var m struct {
		Time                            json.Number
		Host, Source, SourceType, Index string
		Event                           json.RawMessage
		Fields                          map[string]string
	}
	parse(t, body, &m)
	assert.Regexp(t, epochTime, m.Time.String())
	assert.Equal(t, "tocsin:event", m.SourceType)
	assert.NotEmpty(t, m.Source)
	var want bytes.Buffer
	require.NoError(t, json.Compact(&want, e.JSON()))
	assert.Equal(t, want.String(), string(m.Event), "the event as it is")
	assert.Equal(t, string(e.Type()), m.Fields["event_type"])
	for key, value := range m.Fields {
		assert.NotEmpty(t, value, key)
	}
	assert.LessOrEqual(t, len(body), 1<<20)
}

func checkDatadog(t *testing.T, _ event.Event, body []byte) {
	t.Helper()
	var m struct {
		Title, Text, Host, Priority string
		Alert                       string `json:"alert_type"`
		Key                         string `json:"aggregation_key"`
		SourceType                  string `json:"source_type_name"`
		Happened                    *int64 `json:"date_happened"`
		Tags                        []string
	}
	parse(t, body, &m)
	within(t, "title", m.Title, 100)
	within(t, "text", m.Text, 4000)
	within(t, "aggregation_key", m.Key, 100)
	assert.Contains(t, []string{"error", "warning", "info", "success", "user_update", "recommendation", "snapshot"}, m.Alert)
	assert.Contains(t, []string{"normal", "low"}, m.Priority)
	assert.Nil(t, m.Happened, "older than 18 hours is refused")
	for _, tag := range m.Tags {
		assert.Regexp(t, validTag, tag)
	}
	for _, s := range []string{m.Title, m.Text} {
		assert.NotContains(t, s, "%%%")
		assert.NotRegexp(t, mention, s)
	}
}
