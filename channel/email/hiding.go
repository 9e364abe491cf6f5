package email

import (
	"context"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// shortest is the length in bytes from which on a redactor looks for a credential.
const shortest = 8

// maxWords is how much of a relay's text an error shows, in characters.
const maxWords = 200

// hiding keeps the credential out of what a relay says: a reply to a failed log-in can repeat it.
type hiding struct {
	redactor *secret.Redactor
	mute     bool // the credential is too short to be found, so that nothing a relay says is shown
}

// credential returns what to log in with, and how to hide it.
func (m *mailer) credential(ctx context.Context) (string, hiding, error) {
	credential, err := m.pool.dialer.auth.reveal(ctx)
	if err != nil {
		return "", hiding{}, err
	}
	redactor, err := m.secrets.Redactor(ctx) // after it was revealed, so that it is known
	if err != nil {
		return "", hiding{}, err
	}
	return credential, hiding{redactor, credential != "" && len(credential) < shortest}, nil
}

// text returns what may be kept of a reply.
func (h hiding) text(r reply) string {
	if h.mute {
		return ""
	}
	return h.redactor.String(r.Msg)
}

// words is text without the status code and in one line, for people.
func (h hiding) words(r reply) string {
	if h.mute {
		return ""
	}
	return notice.Truncate(oneLine(h.redactor.String(r.Msg[len(r.enhanced()):])), maxWords)
}
