package slacktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The limits of Slack's documentation (https://docs.slack.dev/reference/block-kit/blocks,
// https://docs.slack.dev/reference/methods/chat.postMessage).
const (
	maxText     = 40_000 // of a message's text, in characters
	maxBlocks   = 50
	maxHeader   = 150
	maxSection  = 3000
	maxFields   = 10
	maxField    = 2000
	maxElements = 10
)

// Faults lists what Slack would not take of a message, by its documentation, with the place of each; nil = it takes the
// message. Slack itself says invalid_blocks and no more, and so does a Server. Blocks of other types than header,
// section and context are not looked into. Lengths are in UTF-16 units, the largest of the measures Slack might use.
func Faults(message []byte) []string {
	var c checker
	var m map[string]any
	if !utf8.Valid(message) {
		c.add("message", "is not UTF-8")
	}
	if err := json.Unmarshal(message, &m); err != nil || m == nil {
		c.add("message", "is not a JSON object")
		return c.found
	}
	text, isText := m["text"].(string)
	list, isList := m["blocks"].([]any)
	switch {
	case m["text"] != nil && !isText:
		c.add("text", "is not a string")
	case m["blocks"] != nil && !isList:
		c.add("blocks", "is not a list")
	case text == "" && len(list) == 0 && m["attachments"] == nil:
		c.add("message", "has neither text nor blocks nor attachments")
	case utf8.RuneCountInString(text) > maxText:
		c.add("text", fmt.Sprintf("has more than %d characters", maxText))
	}
	if len(list) > maxBlocks {
		c.add("blocks", fmt.Sprintf("are %d, more than %d", len(list), maxBlocks))
	}
	for i, b := range list {
		c.block(fmt.Sprintf("blocks[%d]", i), b)
	}
	return c.found
}

type checker struct{ found []string }

func (c *checker) add(where, what string) { c.found = append(c.found, where+" "+what) }

func (c *checker) block(where string, v any) {
	b, _ := v.(map[string]any)
	typ, _ := b["type"].(string)
	switch typ {
	case "":
		c.add(where, "has no type")
	case "header":
		c.text(where+".text", b["text"], maxHeader, "plain_text")
	case "section":
		_, hasFields := b["fields"]
		if b["text"] == nil && !hasFields {
			c.add(where, "has neither text nor fields")
		}
		if b["text"] != nil {
			c.text(where+".text", b["text"], maxSection, "plain_text", "mrkdwn")
		}
		if hasFields {
			for i, f := range c.list(where+".fields", b["fields"], maxFields) {
				c.text(fmt.Sprintf("%s.fields[%d]", where, i), f, maxField, "plain_text", "mrkdwn")
			}
		}
	case "context":
		for i, e := range c.list(where+".elements", b["elements"], maxElements) {
			if element, _ := e.(map[string]any); element["type"] != "image" {
				c.text(fmt.Sprintf("%s.elements[%d]", where, i), e, maxSection, "plain_text", "mrkdwn")
			}
		}
	}
}

func (c *checker) list(where string, v any, most int) []any {
	list, _ := v.([]any)
	if len(list) < 1 || len(list) > most {
		c.add(where, fmt.Sprintf("are %d, not 1 to %d", len(list), most))
	}
	return list
}

// text checks a text object.
func (c *checker) text(where string, v any, most int, types ...string) {
	o, _ := v.(map[string]any)
	typ, _ := o["type"].(string)
	s, _ := o["text"].(string)
	if !slices.Contains(types, typ) {
		c.add(where, fmt.Sprintf("is of type %q, not %s", typ, strings.Join(types, " or ")))
	}
	if n := len(utf16.Encode([]rune(s))); n < 1 || n > most || strings.TrimSpace(s) == "" {
		c.add(where, fmt.Sprintf("has %d characters, not 1 to %d", n, most))
	}
}
