package email

import (
	"context"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
)

const (
	maxShownMessage = 64 << 10
	maxShownReply   = 4 << 10
	maxErrorText    = 200 // of a relay's text in an error, in characters
)

// request describes a message, redacted; nil = it could not be made.
func (m *mailer) request(message []byte) *channel.Message {
	return shown("SMTP "+m.address, message, maxShownMessage)
}

// describeReply fills in the relay's last reply.
func (t *transaction) describeReply(r *channel.Receipt, red redaction) {
	if t.last.Code == 0 {
		return
	}
	r.Status = t.last.Code
	text := strings.ToValidUTF8(red.text(t.last), "\ufffd")
	first, _, _ := strings.Cut(text, "\n")
	r.Response = shown(strings.TrimSpace(status(r.Status, "")+" "+oneLine(first)), []byte(cleanText(text)), maxShownReply)
}

func shown(start string, body []byte, limit int) *channel.Message {
	m := &channel.Message{Start: start, Body: body}
	if len(body) > limit {
		m.Body, m.Truncated = body[:limit:limit], true
	}
	return m
}

// minRedacted is the length in bytes from which on a redactor looks for a credential.
const minRedacted = 8

// redaction keeps the credential out of what a relay says: a reply to a failed log-in can repeat it.
type redaction struct {
	redactor *secret.Redactor
	hideAll  bool // the credential is too short to be found, so that nothing a relay says is shown
}

// credential returns what to log in with, and how to hide it.
func (m *mailer) credential(ctx context.Context) (string, redaction, error) {
	credential, err := m.pool.dialer.auth.reveal(ctx)
	if err != nil {
		return "", redaction{}, err
	}
	redactor, err := m.secrets.Redactor(ctx) // after it was revealed, so that it is known
	if err != nil {
		return "", redaction{}, err
	}
	return credential, redaction{redactor, credential != "" && len(credential) < minRedacted}, nil
}

// text returns what may be kept of a reply.
func (red redaction) text(r reply) string {
	if red.hideAll {
		return ""
	}
	return red.redactor.String(r.Msg)
}

// line is text without the status code and in one line, for people.
func (red redaction) line(r reply) string {
	if red.hideAll {
		return ""
	}
	return notice.Truncate(oneLine(red.redactor.String(r.Msg[len(r.enhanced()):])), maxErrorText)
}
