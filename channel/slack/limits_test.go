package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
)

// faults lists what Slack would not take of a message, and beyond that what this package does not make: it keeps to
// fewer kinds of blocks, and to limits for the whole that Slack does not document.
func faults(raw []byte) []string {
	c := &checker{found: slacktest.Faults(raw)}
	if bytes.Contains(raw, []byte(`\ufffd`)) { // which encoding/json writes for half a character
		c.say("message", "is not UTF-8")
	}
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return c.found
	}
	c.keys("message", m, "channel", "ts", "thread_ts", "reply_broadcast", "text", "blocks", "parse", "unfurl_links", "unfurl_media")
	if text, ok := m["text"].(string); !ok || text == "" || len(text) > 4000 {
		c.say("text", fmt.Sprintf("of %d bytes", len(text)))
	}
	if m["ts"] != nil && (m["thread_ts"] != nil || m["unfurl_links"] != nil) || m["ts"] == nil && m["parse"] != nil {
		c.say("message", "has arguments that are another method's")
	}
	var whole struct{ Blocks json.RawMessage }
	if _ = json.Unmarshal(raw, &whole); len(whole.Blocks) > 13000 {
		c.say("blocks", fmt.Sprintf("have %d bytes together", len(whole.Blocks)))
	}
	total := 0
	list, _ := m["blocks"].([]any)
	for i, b := range list {
		total += c.block(fmt.Sprintf("blocks[%d]", i), b)
	}
	if total > 13000 {
		c.say("blocks", fmt.Sprintf("have %d characters together", total))
	}
	return c.found
}

type checker struct{ found []string }

func (c *checker) say(where, what string) { c.found = append(c.found, where+" "+what) }

func (c *checker) keys(where string, m map[string]any, allowed ...string) {
	for k := range m {
		if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+k+" ") {
			c.say(where, "has "+k)
		}
	}
}

// block returns the number of characters in b.
func (c *checker) block(where string, v any) int {
	b, _ := v.(map[string]any)
	var texts []any
	switch b["type"] {
	case "header":
		c.keys(where, b, "type", "text")
		texts = []any{b["text"]}
	case "section":
		c.keys(where, b, "type", "text", "fields")
		texts, _ = b["fields"].([]any)
		if b["text"] != nil {
			texts = append(texts, b["text"])
		}
	case "context":
		c.keys(where, b, "type", "elements")
		texts, _ = b["elements"].([]any)
	default:
		c.say(where, fmt.Sprintf("is of type %v", b["type"]))
	}
	n := 0
	for _, t := range texts {
		n += c.text(where, t)
	}
	return n
}

// text returns the number of characters in a text object of a block.
func (c *checker) text(where string, v any) int {
	o, _ := v.(map[string]any)
	switch o["type"] {
	case "plain_text":
		c.keys(where, o, "type", "text", "emoji")
	case "mrkdwn":
		c.keys(where, o, "type", "text", "verbatim")
	default:
		c.say(where, fmt.Sprintf("has a text of type %v", o["type"]))
	}
	s, _ := o["text"].(string)
	return units(s)
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// marks lists what Slack would find between < and > in the mrkdwn of a message: mentions, links and dates.
func marks(raw []byte) []string {
	var found []string
	var walk func(v any)
	scan := func(s string) {
		for {
			_, rest, ok := strings.Cut(s, "<")
			if !ok {
				return
			}
			mark, after, _ := strings.Cut(rest, ">")
			found, s = append(found, mark), after
		}
	}
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if s, ok := v["text"].(string); ok && v["type"] != "plain_text" { // mrkdwn, and the text of the message itself
				scan(s)
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	var m any
	_ = json.Unmarshal(raw, &m)
	walk(m)
	return found
}
