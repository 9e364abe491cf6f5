package slack

import (
	"fmt"
	"strings"

	"github.com/tocsin-go/tocsin/channel/notice"
)

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

// plain is for text written by anybody: nothing in it has a meaning to Slack.
func plain(s string, limit int) *text {
	return &text{Type: "plain_text", Text: notice.TruncateUTF16(s, limit), Emoji: new(bool)}
}

// mrkdwn is for what this package writes, with everything else in it escaped.
func mrkdwn(s string) *text { return &text{Type: "mrkdwn", Text: s, Verbatim: true} }

type blocks []block

// fit reports whether Slack takes b as a whole.
func (b blocks) fit() bool {
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
// shows a warning beside it when nobody there answers (github.com/slackapi/node-slack-sdk issue 869).
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
