package main

import (
	"html"
	"slices"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
)

// change is what somebody who looks at the channel sees happen.
type change struct {
	what         string // "a new message"
	lines        []string
	notification string // what a phone says; "" = nothing
}

// changes compares the messages of a workspace with what they were before.
func changes(before, now []slacktest.Message) []change {
	var all []change
	for i, m := range now {
		switch {
		case i < len(before) && m.Edits > before[i].Edits:
			// Only the lines that are not what they were are worth printing.
			fresh := slices.DeleteFunc(slices.Clone(m.Lines), func(line string) bool { return slices.Contains(before[i].Lines, line) })
			all = append(all, change{what: "the message is brought up to date; new in it", lines: fresh})
		case i < len(before):
		case m.ThreadTS != "":
			all = append(all, change{"a reply in its thread", m.Lines, html.UnescapeString(m.Text)})
		default:
			all = append(all, change{"a new message", m.Lines, html.UnescapeString(m.Text)})
		}
	}
	return all
}
