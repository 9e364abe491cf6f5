package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// faults lists what Slack would not take of a message, by its documentation alone: nothing here is shared with the
// package that makes messages. Lengths are in UTF-16 units, the largest of the measures Slack might use.
func faults(raw []byte) []string {
	c := &checker{}
	if !utf8.Valid(raw) || bytes.Contains(raw, []byte(`\ufffd`)) { // which encoding/json writes for half a character
		c.say("message", "is not UTF-8")
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		c.say("message", "is not an object: "+err.Error())
		return c.found
	}
	c.keys("message", m, "channel", "ts", "thread_ts", "reply_broadcast", "text", "blocks", "parse", "unfurl_links", "unfurl_media")
	if text, ok := m["text"].(string); !ok || text == "" || len(text) > 4000 {
		c.say("text", fmt.Sprintf("of %d bytes", len(text)))
	}
	if m["ts"] != nil && (m["thread_ts"] != nil || m["unfurl_links"] != nil) || m["ts"] == nil && m["parse"] != nil {
		c.say("message", "has arguments that are another method's")
	}
	list, _ := m["blocks"].([]any)
	if len(list) > 50 {
		c.say("blocks", fmt.Sprintf("are %d", len(list)))
	}
	var whole struct{ Blocks json.RawMessage }
	if _ = json.Unmarshal(raw, &whole); len(whole.Blocks) > 13000 {
		c.say("blocks", fmt.Sprintf("have %d bytes together", len(whole.Blocks)))
	}
	total := 0
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
	switch b["type"] {
	case "header":
		c.keys(where, b, "type", "text")
		return c.text(where+".text", b["text"], 150, "plain_text")
	case "section":
		c.keys(where, b, "type", "text", "fields")
		fields, has := b["fields"].([]any)
		if b["text"] == nil && !has {
			c.say(where, "has neither text nor fields")
		}
		if has && (len(fields) < 1 || len(fields) > 10) {
			c.say(where, fmt.Sprintf("has %d fields", len(fields)))
		}
		n := 0
		if b["text"] != nil {
			n += c.text(where+".text", b["text"], 3000, "plain_text", "mrkdwn")
		}
		for i, f := range fields {
			n += c.text(fmt.Sprintf("%s.fields[%d]", where, i), f, 2000, "plain_text", "mrkdwn")
		}
		return n
	case "context":
		c.keys(where, b, "type", "elements")
		elements, _ := b["elements"].([]any)
		if len(elements) < 1 || len(elements) > 10 {
			c.say(where, fmt.Sprintf("has %d elements", len(elements)))
		}
		n := 0
		for i, e := range elements {
			n += c.text(fmt.Sprintf("%s.elements[%d]", where, i), e, 3000, "plain_text", "mrkdwn")
		}
		return n
	}
	c.say(where, fmt.Sprintf("is of type %v", b["type"]))
	return 0
}

// text returns the number of characters in a text object.
func (c *checker) text(where string, v any, limit int, types ...string) int {
	o, _ := v.(map[string]any)
	typ, _ := o["type"].(string)
	s, _ := o["text"].(string)
	if !strings.Contains(" "+strings.Join(types, " ")+" ", " "+typ+" ") {
		c.say(where, "is of type "+typ)
	}
	switch typ {
	case "plain_text":
		c.keys(where, o, "type", "text", "emoji")
	default:
		c.keys(where, o, "type", "text", "verbatim")
	}
	n := units(s)
	if n < 1 || n > limit || strings.TrimSpace(s) == "" {
		c.say(where, fmt.Sprintf("has %d characters, at most %d are allowed", n, limit))
	}
	return n
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
