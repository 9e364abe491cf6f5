package email

import (
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

const (
	maxShownMessage = 64 << 10
	maxShownReply   = 4 << 10
)

// request describes a message, redacted; nil = it could not be made.
func (m *mailer) request(message []byte) *channel.Message {
	return shown("SMTP "+m.address, message, maxShownMessage)
}

// describe fills in the relay's answer.
func (t *transaction) describe(r *channel.Receipt, hide hiding) {
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
