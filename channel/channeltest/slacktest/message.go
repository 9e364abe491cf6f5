package slacktest

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Message is a message in a channel, as it is after the last edit.
type Message struct {
	Channel   string // the channel's id; of a webhook's message the path of its URL
	TS        string // Slack's id of the message within its channel
	ThreadTS  string // of the message that it replies to; "" = it is no reply
	Broadcast bool   // a reply that the channel sees as well
	Edits     int
	Deleted   bool            // by Server.Delete
	Text      string          // for notifications, as it was sent
	Blocks    json.RawMessage // as they were sent; nil = none

	// What people see of the blocks of types header, section and context, or of Text if there are no blocks: a line for
	// each line of it, with markup for bold and the like as it was sent. A link is "words (address)".
	Lines []string
	// Who is called by the lines and Text, such as "!channel" and "@U024BE7LH".
	Mentions []string
}

// fill takes over what a message says.
func (m *Message) fill(c call) {
	m.Text, m.Blocks, m.Lines, m.Mentions = c.Text, nil, nil, nil
	notification := m.show(text{Type: "mrkdwn", Text: c.Text})
	if isEmpty(c.Blocks) {
		m.Lines = notification
		return
	}
	m.Blocks = c.Blocks
	var list []block
	_ = json.Unmarshal(c.Blocks, &list) // what is of another shape shows nothing
	for _, b := range list {
		m.showBlock(b)
	}
}

// isEmpty reports whether a list is not there or has nothing in it.
func isEmpty(list json.RawMessage) bool {
	switch string(list) {
	case "", "null", "[]":
		return true
	}
	return false
}

// block is what a block shows.
type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text"`
	Fields   []text `json:"fields"`
	Elements []text `json:"elements"`
}

// text is text that Slack shows as it is (plain_text) or in which "<…>" has a meaning (mrkdwn).
type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (m *Message) showBlock(b block) {
	if b.Type != "header" && b.Type != "section" && b.Type != "context" {
		return
	}
	if b.Text != nil {
		m.Lines = append(m.Lines, m.show(*b.Text)...)
	}
	for i := 0; i < len(b.Fields); i += 2 { // two columns
		line := strings.Join(m.show(b.Fields[i]), " ")
		if i+1 < len(b.Fields) {
			line += " " + strings.Join(m.show(b.Fields[i+1]), " ")
		}
		m.Lines = append(m.Lines, line)
	}
	var elements []string
	for _, e := range b.Elements {
		if shown := m.show(e); shown != nil { // an image shows none
			elements = append(elements, strings.Join(shown, " "))
		}
	}
	if elements != nil {
		m.Lines = append(m.Lines, strings.Join(elements, " · "))
	}
}

var marks = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)

// show returns the lines of a text and notes whom it calls (https://docs.slack.dev/messaging/formatting-message-text).
func (m *Message) show(t text) []string {
	shown := t.Text
	if t.Type == "mrkdwn" {
		shown = marks.ReplaceAllStringFunc(shown, func(mark string) string {
			part := marks.FindStringSubmatch(mark)
			switch target, words := part[1], part[2]; {
			case strings.HasPrefix(target, "!date^"):
				return words
			case strings.HasPrefix(target, "!"), strings.HasPrefix(target, "@"):
				m.Mentions = append(m.Mentions, target)
				return "@" + target[1:]
			case words != "":
				return words + " (" + target + ")"
			default:
				return target
			}
		})
		shown = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(shown)
	}
	if shown == "" {
		return nil
	}
	return strings.Split(shown, "\n")
}
