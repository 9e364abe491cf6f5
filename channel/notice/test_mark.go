package notice

import (
	"strings"

	"github.com/tocsin-go/tocsin/event"
)

const (
	testWord    = "TEST"
	testMeaning = "sent to try this channel, nothing has happened"
)

// TestLine says in one line that a message is a test, for messages that nothing else marks.
const TestLine = testWord + ": " + testMeaning

// MarkTest returns text behind "TEST: " when e is a test event, and text as it is when e is none or text begins so
// already. It is for titles that a template made; those of a Notice are marked.
func MarkTest(e event.Event, text string) string {
	const prefix = testWord + ": "
	if !e.IsTest() || strings.HasPrefix(text, prefix) {
		return text
	}
	return prefix + text
}
