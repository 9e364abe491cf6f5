package email

import (
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

const (
	maxShownMessage = 64 << 10
	maxShownReply   = 4 << 10
)

// describe fills in what is known of the exchange.
func (t *transaction) describe(r *channel.Receipt, relay string, hide hiding) {
	if t.sent {
		r.Request = shown("SMTP "+relay, hide.redactor.Bytes(t.message), maxShownMessage)
	}
	if t.last.Code == 0 {
		return
	}
	r.Status = t.last.Code
	text := strings.ToValidUTF8(hide.text(t.last), "\ufffd")
	first, _, _ := strings.Cut(text, "\n")
	r.Response = shown(strings.TrimSpace(status(r.Status, "")+" "+oneLine(first)), []byte(cleanLines(text)), maxShownReply)
}

func shown(start string, body []byte, limit int) *channel.Message {
	m := &channel.Message{Start: start, Body: body}
	if len(body) > limit {
		m.Body, m.Truncated = body[:limit:limit], true
	}
	return m
}
