package smtptest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
)

func TestMailAsAMailProgramShowsIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data                string
		subject, text, html string
	}{
		"no type":                     {"Subject: x\n\nfirst\nsecond\n", "x", "first\nsecond\n", ""},
		"HTML alone":                  {"Content-Type: text/html; charset=utf-8\n\n<p>\n", "", "", "<p>\n"},
		"encoded words":               {"Subject: =?utf-8?q?Zugriff_f=C3=BCr?= =?utf-8?b?IGFsbGU=?=\n\n", "Zugriff für alle", "", ""},
		"a charset that is not known": {"Subject: =?x-unknown?q?x?=\n\n", "=?x-unknown?q?x?=", "", ""},
		"quoted-printable": {"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 =\nau lait\n",
			"", "café au lait\n", ""},
		"base64": {"Content-Type: text/plain\nContent-Transfer-Encoding: BASE64\n\naGVs\nbG8=\n", "", "hello", ""},
		"two forms": {"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nplain\n--b\n" +
			"Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p a=3D1>\n--b--\n", "", "plain", "<p a=1>"},
		"an attachment": {"Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=b\n\n" +
			"--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: text/html\n\n<p>\n--b--\n--m\nContent-Type: text/plain\n\nattached\n--m--\n",
			"", "plain", "<p>"},
		"other types":     {"Content-Type: application/pdf\n\n%PDF\n", "", "", ""},
		"a part cut off":  {"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nplain\n", "", "plain", ""},
		"no mail":         {"this is no mail\n", "", "", ""},
		"nothing":         {"", "", "", ""},
		"two levels":      {nested(2) + "\nx\n", "", "x", ""},
		"a lot of levels": {nested(20) + "\nx\n", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := smtptest.Start(t, plain)
			data := strings.ReplaceAll(tt.data, "\n", "\r\n")
			require.NoError(t, transact(client(t, s), data, "a@example.com"))
			m := wait(t, s, 1)[0]
			assert.Equal(t, tt.subject, m.Subject)
			assert.Equal(t, tt.text, m.Text)
			assert.Equal(t, tt.html, m.HTML)
			if data != "" { // net/smtp sends an empty line for nothing
				assert.Equal(t, data, string(m.Data))
			}
		})
	}
}

// nested returns the beginning of a mail with parts in each other.
func nested(levels int) string {
	var b strings.Builder
	for n := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", n, n)
	}
	return b.String()
}

func TestMailsReturnsCopies(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	require.NoError(t, transact(client(t, s), "Subject: x\r\n\r\n", "a@example.com"))
	s.Mails()[0].From = "changed"
	s.Commands()[0] = "changed"
	assert.Equal(t, "pam@example.com", s.Mails()[0].From)
	assert.Equal(t, "EHLO localhost", s.Commands()[0])
}
