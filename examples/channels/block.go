package main

import (
	"regexp"
	"strings"
)

// block is a Block Kit block: a header, a section or a context line.
type block struct {
	Text     *text  `json:"text"`
	Fields   []text `json:"fields"`
	Elements []text `json:"elements"`
}

// text is text that Slack shows as it is (plain_text) or in which "<…>" has a meaning (mrkdwn).
type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// renderBlocks returns the lines that people see, and whom they call.
func renderBlocks(all []block) (lines, called []string) {
	show := func(t text) string {
		s, c := render(t.Text, t.Type == "mrkdwn")
		called = append(called, c...)
		return s
	}
	for _, b := range all {
		if b.Text != nil {
			lines = append(lines, strings.Split(show(*b.Text), "\n")...)
		}
		for i := 0; i+1 < len(b.Fields); i += 2 { // two columns
			lines = append(lines, show(b.Fields[i])+" "+show(b.Fields[i+1]))
		}
		var elements []string
		for _, e := range b.Elements {
			elements = append(elements, show(e))
		}
		if elements != nil {
			lines = append(lines, strings.Join(elements, " · "))
		}
	}
	return lines, called
}

var special = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)

// render shows mrkdwn as Slack does: <!channel> calls people, <address|words> is a link, and &lt; is a "<" that means
// nothing.
func render(s string, mrkdwn bool) (shown string, called []string) {
	if !mrkdwn {
		return s, nil
	}
	shown = special.ReplaceAllStringFunc(s, func(all string) string {
		part := special.FindStringSubmatch(all)
		switch target, words := part[1], part[2]; {
		case strings.HasPrefix(target, "!date"):
			return words
		case strings.HasPrefix(target, "!"), strings.HasPrefix(target, "@"):
			called = append(called, target)
			return "@" + target[1:] + " (everybody's phone rings)"
		case words != "":
			return words + " (" + target + ")"
		default:
			return target
		}
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(shown), called
}
