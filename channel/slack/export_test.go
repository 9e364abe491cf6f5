package slack

import (
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// Message is what a Webhook posts about e by default.
func Message(e event.Event) []byte {
	n := notice.Of(e)
	raw, _ := encode(newMessage(place{}, n, headline(n, e.Type()))) // faults finds nothing good in nothing
	return raw
}

// Readers are what reads Slack's responses.
func Readers() []func(webhook.Response, retry.Verdict) webhook.Reading {
	return []func(webhook.Response, retry.Verdict) webhook.Reading{readHook, readAPI}
}

// OwnText is a message of the text that a template made.
func OwnText(s string) []byte {
	raw, _ := encode(message{Text: "x", Blocks: paragraphs(s)})
	return raw
}
