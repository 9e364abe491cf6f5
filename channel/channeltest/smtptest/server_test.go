package smtptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
)

func dial(t *testing.T, s *smtptest.Server) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client is one that shares nothing with package email.
func client(t *testing.T, s *smtptest.Server) *smtp.Client {
	t.Helper()
	c, err := smtp.NewClient(dial(t, s), s.Host())
	require.NoError(t, err)
	return c
}

// secure returns the client's side of TLS.
func secure(t *testing.T, s *smtptest.Server) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(s.Authority()))
	return &tls.Config{RootCAs: roots, ServerName: s.Host(), MinVersion: tls.VersionTLS12}
}

func transact(c *smtp.Client, text string, to ...string) error {
	if err := c.Mail("pam@example.com"); err != nil {
		return err
	}
	for _, address := range to {
		if err := c.Rcpt(address); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	return w.Close()
}

// refusal checks that err is a reply with a code.
func refusal(t *testing.T, err error, code int) {
	t.Helper()
	var reply *textproto.Error
	require.ErrorAs(t, err, &reply)
	assert.Equal(t, code, reply.Code, "%v", err)
}

// Two mails in one conversation, one of which has a line of a dot, which ends a mail unless client and server take care
// of it (RFC 5321, section 4.5.2).
func TestMailsArriveWithTheirEnvelopes(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	assert.Empty(t, s.Mails())
	c := client(t, s)
	require.NoError(t, transact(c, "Subject: one\r\nTo: everybody@example.com\r\n\r\nfirst\r\n.\r\nlast\r\n", "a@example.com", "b@example.com"))
	require.NoError(t, c.Mail("nobody@example.com"))
	require.NoError(t, c.Reset())
	require.NoError(t, transact(c, "Subject: two\r\n\r\n", "c@example.com"))
	require.NoError(t, c.Quit())
	mails := wait(t, s, 2)
	for i, want := range []smtptest.Mail{
		{From: "pam@example.com", To: []string{"a@example.com", "b@example.com"}, Data: []byte("Subject: one\r\nTo: everybody@example.com\r\n\r\nfirst\r\n.\r\nlast\r\n"),
			Header: map[string][]string{"Subject": {"one"}, "To": {"everybody@example.com"}}, Subject: "one", Text: "first\n.\nlast\n"},
		{From: "pam@example.com", To: []string{"c@example.com"}, Data: []byte("Subject: two\r\n\r\n"),
			Header: map[string][]string{"Subject": {"two"}}, Subject: "two"},
	} {
		assert.Equal(t, want, mails[i])
	}
	assert.Equal(t, []string{"EHLO localhost", "MAIL FROM:<pam@example.com> BODY=8BITMIME SMTPUTF8", "RCPT TO:<a@example.com>"}, s.Commands()[:3])
}

func TestSTARTTLS(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, smtptest.Options{})
	c := client(t, s)
	offered, _ := c.Extension("STARTTLS")
	assert.True(t, offered)
	require.NoError(t, c.StartTLS(secure(t, s)))
	offered, _ = c.Extension("STARTTLS")
	assert.False(t, offered)
	require.NoError(t, transact(c, "Subject: x\r\n\r\n", "a@example.com"))
	assert.True(t, wait(t, s, 1)[0].TLS)

	require.NoError(t, transact(client(t, s), "Subject: x\r\n\r\n", "a@example.com"), "it need not be used")
	assert.False(t, wait(t, s, 2)[1].TLS)
	require.Error(t, client(t, s).StartTLS(&tls.Config{ServerName: s.Host(), MinVersion: tls.VersionTLS12}), "unknown authority")
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, smtptest.Options{Mode: email.TLSImplicit})
	c, err := smtp.NewClient(tls.Client(dial(t, s), secure(t, s)), s.Host())
	require.NoError(t, err)
	require.NoError(t, transact(c, "Subject: x\r\n\r\n", "a@example.com"))
	assert.True(t, wait(t, s, 1)[0].TLS)
}

func TestNoTLS(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	assert.Nil(t, s.Authority())
	refusal(t, client(t, s).StartTLS(&tls.Config{MinVersion: tls.VersionTLS12}), 502)
}

// TLS of the test's own.
func TestOwnTLS(t *testing.T) {
	t.Parallel()
	asked := ""
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked = hello.ServerName
		return nil, nil //nolint:nilnil // there is none
	}}
	s := smtptest.Start(t, smtptest.Options{TLS: config})
	assert.Nil(t, s.Authority())
	require.Error(t, client(t, s).StartTLS(&tls.Config{ServerName: "relay.example", MinVersion: tls.VersionTLS12}))
	s.Close()
	assert.Equal(t, "relay.example", asked)
}

// Config is complete: a channel made of it delivers, whatever the server asks for.
func TestConfig(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]smtptest.Options{
		"zero":              {},
		"implicit TLS":      {Mode: email.TLSImplicit},
		"in clear":          plain,
		"opportunistic":     {Mode: email.TLSOpportunistic},
		"password":          {Auth: "PLAIN", User: "pam", Password: "correct horse"},
		"LOGIN only":        {Auth: "LOGIN", User: "pam", Password: "correct horse"},
		"token":             {Auth: "XOAUTH2", User: "pam", Password: "correct horse"},
		"any credential":    {Auth: "PLAIN LOGIN", User: "pam"},
		"password in clear": {Mode: email.TLSNone, Auth: "PLAIN", User: "pam", Password: "correct horse"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := smtptest.Start(t, o)
			mail, err := email.New(s.Config())
			require.NoError(t, err)
			defer mail.Close()
			require.NoError(t, mail.Check(t.Context()))
			e, _ := event.Sample(event.TypeGrantRevoked)
			_, err = mail.Send(t.Context(), channel.Delivery{Event: e, Attempt: 1})
			require.NoError(t, err)
			got := wait(t, s, 1)[0]
			assert.Equal(t, "sender@example.com", got.From)
			assert.Equal(t, []string{"recipient@example.com"}, got.To)
			assert.Equal(t, o.Mode != email.TLSNone, got.TLS)
			assert.NotEmpty(t, got.Subject)
			assert.Contains(t, got.Text, "\n")
			assert.NotContains(t, got.Text, "\r")
			assert.Contains(t, got.HTML, "<html")
		})
	}
}

func TestOtherCommands(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, smtptest.Options{Mode: email.TLSNone, Extensions: []string{"SIZE 1000"}})
	c := client(t, s)
	require.NoError(t, c.Hello("example.com"))
	size, limit := c.Extension("SIZE")
	assert.True(t, size)
	assert.Equal(t, "1000", limit)
	refusal(t, c.Verify("a@example.com"), 502)
	require.NoError(t, c.Noop())
	refusal(t, c.Rcpt("a@example.com"), 503)
	_, err := c.Data()
	refusal(t, err, 503)
	require.NoError(t, c.Mail("pam@example.com"))
	_, err = c.Data()
	refusal(t, err, 554)
	require.NoError(t, c.Noop(), "the conversation goes on")
	assert.Equal(t, 1, s.Count("VRFY"))
	assert.Equal(t, 2, s.Count("NOOP"))
}

// Close does not wait for clients to leave, nor for what hangs.
func TestCloseEndsConversations(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	idle, hanging := client(t, s), client(t, s)
	require.NoError(t, idle.Noop())
	require.NoError(t, transact(idle, "Subject: x\r\n\r\n", "a@example.com"))
	s.Script(smtptest.StepReset, smtptest.Hang)
	failed := make(chan error, 1)
	go func() { failed <- hanging.Reset() }()
	require.NoError(t, s.WaitFor(t.Context(), smtptest.StepReset, 1))
	s.Close()
	require.Error(t, <-failed)
	require.Error(t, idle.Noop())
	assert.Len(t, s.Mails(), 1, "what was received can still be read")
	_, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())))
	require.Error(t, err)
	s.Close()
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	require.NoError(t, s.Wait(cancelled(t), 0))
	require.NoError(t, transact(client(t, s), "Subject: x\r\n\r\n", "a@example.com"))
	require.NoError(t, s.Wait(cancelled(t), 1))
	err := s.Wait(cancelled(t), 2)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "took 1 of 2 mails: context canceled")
	require.NoError(t, s.WaitFor(cancelled(t), smtptest.StepRcpt, 1))
	err = s.WaitFor(cancelled(t), smtptest.StepRcpt, 3)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "RCPT was reached 1 of 3 times: context canceled")
}

func TestWaitSeesWhatComesLater(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(t.Context(), 2) }()
	for range 2 {
		require.NoError(t, transact(client(t, s), "Subject: x\r\n\r\n", "a@example.com"))
	}
	require.NoError(t, <-waited)
}
