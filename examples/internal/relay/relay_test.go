package relay_test

import (
	"net"
	"net/smtp"
	"net/textproto"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/examples/internal/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) (*relay.Relay, *smtp.Client) {
	t.Helper()
	r, err := relay.New()
	require.NoError(t, err)
	t.Cleanup(r.Close)
	conn, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: r.Port()})
	require.NoError(t, err)
	c, err := smtp.NewClient(conn, "127.0.0.1")
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return r, c
}

func send(t *testing.T, c *smtp.Client, text string, to ...string) {
	t.Helper()
	require.NoError(t, c.Mail("pam@example.com"))
	for _, address := range to {
		require.NoError(t, c.Rcpt(address))
	}
	w, err := c.Data()
	require.NoError(t, err)
	_, err = w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// TestMailsArriveWithTheirEnvelopes speaks with a foreign client: two mails in one conversation, one of which has a
// line of a dot, which ends a mail unless client and server take care of it (RFC 5321, section 4.5.2).
func TestMailsArriveWithTheirEnvelopes(t *testing.T) {
	t.Parallel()
	r, c := start(t)
	assert.Empty(t, r.Mails())
	send(t, c, "Subject: one\r\nTo: everybody@example.com\r\n\r\nfirst\r\n.\r\nlast\r\n", "a@example.com", "b@example.com")
	require.NoError(t, c.Reset())
	send(t, c, "Subject: two\r\n\r\n", "c@example.com")
	require.NoError(t, c.Quit())
	assert.Equal(t, []relay.Envelope{
		{From: "pam@example.com", To: []string{"a@example.com", "b@example.com"}, Data: "Subject: one\nTo: everybody@example.com\n\nfirst\n.\nlast\n"},
		{From: "pam@example.com", To: []string{"c@example.com"}, Data: "Subject: two\n\n"},
	}, r.Mails())
}

func TestOtherCommandsAreRefused(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	require.NoError(t, c.Hello("example.com"))
	var refused *textproto.Error
	require.ErrorAs(t, c.Verify("a@example.com"), &refused)
	assert.Equal(t, 502, refused.Code)
	assert.NoError(t, c.Noop(), "the conversation goes on")
}

// TestCloseEndsConversations would hang if Close waited for clients to leave.
func TestCloseEndsConversations(t *testing.T) {
	t.Parallel()
	r, c := start(t)
	require.NoError(t, c.Noop())
	r.Close()
	assert.Error(t, c.Noop())
	r.Close()
}
