package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
)

// Slack's limits (https://docs.slack.dev/reference/block-kit, read 2026-11), in UTF-16 units because it does not say
// what it counts. The last one is second-hand: blocks that together have some 13,200 characters are refused with
// msg_blocks_too_long (github.com/slackapi/bolt-js issue 2509). It is kept with something to spare, and in bytes of
// JSON, which are never fewer than characters. The text besides the blocks may have 40,000 characters, but only 4,000
// bytes in chat.update (second-hand as well: gitlab.com/gitlab-org/gitlab merge request 258898).
const (
	maxHeader     = 150
	maxText       = 3000
	maxField      = 2000
	maxFields     = 10
	maxBlocks     = 50
	maxBlockBytes = 12000
)

// message is the body of a request. Slack's names; what is empty is left out.
type message struct {
	place
	Text   string `json:"text"` // for notifications and screen readers
	Blocks blocks `json:"blocks,omitempty"`
	// Unlike the others, chat.update by default links names and addresses in a text, which may come from any user.
	Parse string `json:"parse,omitempty"`
	// Slack would fetch what a link leads to and show it.
	UnfurlLinks *bool `json:"unfurl_links,omitempty"`
	UnfurlMedia *bool `json:"unfurl_media,omitempty"`
}

// place says where a message goes.
type place struct {
	Channel   string `json:"channel,omitempty"`
	TS        string `json:"ts,omitempty"`              // of the message to be updated
	Thread    string `json:"thread_ts,omitempty"`       // of the message to be replied to
	Broadcast bool   `json:"reply_broadcast,omitempty"` // a reply that the whole channel sees
}

// newMessage makes a message of blocks for the given place.
func newMessage(p place, n notice.Notice, b blocks) message {
	m := message{place: p, Text: fallback(n), Blocks: b}
	if p.TS != "" {
		m.Parse = "none"
	} else {
		m.UnfurlLinks, m.UnfurlMedia = new(bool), new(bool)
	}
	return m
}

// fallback is what a notification on a phone says. A summary is short enough for any limit, escaped too.
func fallback(n notice.Notice) string { return escape(severityIcon(n.Severity) + " " + n.Summary) }

// headline is the message about an event that represents its subject: all that is needed to act on it.
func headline(n notice.Notice, t event.Type) blocks {
	// Long texts first: who, what and until when matter more than the end of a long reason.
	for _, limit := range [...]struct{ long, short int }{{maxText, 500}, {1500, 500}, {750, 250}, {300, 125}} {
		if b := headlineWithin(n, t, len(n.Facts), limit.long, limit.short); b.fits() {
			return b
		}
	}
	for facts := len(n.Facts); ; facts-- {
		if b := headlineWithin(n, t, facts, 300, 125); b.fits() || facts == 0 {
			return b
		}
	}
}

// headlineWithin shows the first facts, long and short ones within their limits.
func headlineWithin(n notice.Notice, t event.Type, facts, long, short int) blocks {
	b := blocks{{Type: "header", Text: plain(severityIcon(n.Severity)+" "+n.Title, maxHeader)}}
	shown := make([]notice.Fact, 0, facts+1)
	if n.Status != "" {
		shown = append(shown, notice.Fact{Label: "Status", Value: n.Status})
	}
	b = b.facts(append(shown, n.Facts[:facts]...), long, short)
	footer := sourceLine(n, t)
	if left := len(n.Facts) - facts; left > 0 {
		footer = append(footer, plain("… and "+strconv.Itoa(left)+" more details", maxText))
	}
	return append(b.link(n), block{Type: "context", Elements: footer})
}

// replyBlocks is the message about what happened next, below a headline that has been brought up to date.
func replyBlocks(n notice.Notice, t event.Type) blocks {
	b := blocks{
		{Type: "section", Text: plain(severityIcon(n.Severity)+" "+n.Title, maxText)},
		{Type: "section", Text: plain(n.Summary, maxText)},
	}
	return append(b.link(n), block{Type: "context", Elements: sourceLine(n, t)})
}

func sourceLine(n notice.Notice, t event.Type) []*text {
	return []*text{plain("Severity: "+n.Severity.String(), maxText), plain(string(t), maxText)}
}

// severityIcon shows a severity where there is little room. The footer has it in words.
func severityIcon(s notice.Severity) string {
	switch s {
	case notice.Critical:
		return "🚨"
	case notice.Error:
		return "🔴"
	case notice.Warning:
		return "🟠"
	default:
		return "🔵"
	}
}

// encode writes v without the escapes that make JSON fit for HTML, which would make it longer.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// escape makes s literal in mrkdwn: without these three there is no mention, no link and no date
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// block is a Block Kit block of one of the types header, section and context
// (https://docs.slack.dev/reference/block-kit/blocks).
type block struct {
	Type     string  `json:"type"`
	Text     *text   `json:"text,omitempty"`
	Fields   []*text `json:"fields,omitempty"`
	Elements []*text `json:"elements,omitempty"`
}

// text is a text object.
type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Emoji    *bool  `json:"emoji,omitempty"`    // false: ":x:" stays what it is
	Verbatim bool   `json:"verbatim,omitempty"` // no names and addresses become links that are not written as such
}

// plain is for text of any origin: nothing in it has a meaning to Slack.
func plain(s string, limit int) *text {
	return &text{Type: "plain_text", Text: notice.TruncateUTF16(s, limit), Emoji: new(bool)}
}

// mrkdwn is for what this package writes, with everything else in it escaped.
func mrkdwn(s string) *text { return &text{Type: "mrkdwn", Text: s, Verbatim: true} }

type blocks []block

// fits reports whether Slack takes b as a whole.
func (b blocks) fits() bool {
	encoded, err := encode(b)
	return err == nil && len(encoded) <= maxBlockBytes && len(b) <= maxBlocks
}

// facts appends sections: a row of label and value for each fact, and the whole width for a long one.
func (b blocks) facts(facts []notice.Fact, long, short int) blocks {
	open := false // the last section takes another row
	for _, f := range facts {
		if f.Long {
			open = false
			b = append(b, block{Type: "section", Text: label(f.Label)}, block{Type: "section", Text: plain(f.Value, min(long, maxText))})
			continue
		}
		if !open {
			b = append(b, block{Type: "section"})
		}
		last := &b[len(b)-1]
		last.Fields = append(last.Fields, label(f.Label), value(f, min(short, maxField)))
		open = len(last.Fields)+2 <= maxFields
	}
	return b
}

// link appends n's link. It is a link in a text and no button, because Slack sends the click on a button to the app and
// shows a warning beside it when the app does not answer (github.com/slackapi/node-slack-sdk issue 869).
func (b blocks) link(n notice.Notice) blocks {
	if n.Link == "" {
		return b
	}
	return append(b, block{Type: "section", Text: mrkdwn("*<" + escape(n.Link) + "|" + escape(n.LinkText) + ">*")})
}

// label is bold unless that would need characters which the label has itself.
func label(s string) *text {
	if strings.ContainsAny(s, "*_~`") {
		return plain(s, maxField)
	}
	return mrkdwn("*" + escape(s) + "*")
}

// value shows an instant in the reader's own time zone, and anything else as it is.
func value(f notice.Fact, limit int) *text {
	if at := f.Time.Unix(); !f.Time.IsZero() && at > 0 && f.Time.Year() <= 9999 {
		return mrkdwn(fmt.Sprintf("<!date^%d^{date_short_pretty}, {time}|%s>", at, escape(f.Value)))
	}
	return plain(f.Value, limit)
}
