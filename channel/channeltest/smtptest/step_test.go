package smtptest_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
)

const text = "Subject: x\r\n\r\nx\r\n"

func TestScript(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	s.Script(smtptest.StepRcpt, "450 4.2.0 greylisted", smtptest.Usual)
	s.Script(smtptest.StepRcpt, "550 5.1.1 no such user")
	s.Handle(func(c smtptest.Command) smtptest.Reply {
		if c.Step == smtptest.StepRcpt && c.N == 4 {
			return "451 4.3.0 later"
		}
		return smtptest.Usual
	})
	c := client(t, s)
	require.NoError(t, c.Mail("pam@example.com"))
	for _, code := range []int{450, 0, 550, 451, 0} {
		err := c.Rcpt("a@example.com")
		if code == 0 {
			require.NoError(t, err)
			continue
		}
		refusal(t, err, code)
	}
	require.NoError(t, c.Reset())
	s.Script(smtptest.StepMessage, "554 5.7.1 spam")
	refusal(t, transact(c, text, "a@example.com"), 554)
	assert.Empty(t, s.Mails(), "what was refused was not taken")
	require.NoError(t, transact(c, text, "a@example.com"))
	assert.Len(t, s.Mails(), 1)
}

func TestHandle(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	var mu sync.Mutex
	var seen []smtptest.Command
	s.Handle(func(c smtptest.Command) smtptest.Reply {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, c)
		if c.Address == "gone@example.com" {
			return "550 5.1.1 no such user"
		}
		return smtptest.Usual
	})
	c := client(t, s)
	require.NoError(t, c.Mail("pam@example.com"))
	refusal(t, c.Rcpt("gone@example.com"), 550)
	require.NoError(t, transact(c, text, "a@example.com"))
	assert.Equal(t, []string{"a@example.com"}, s.Mails()[0].To)
	s.Handle(nil)
	require.NoError(t, transact(c, text, "gone@example.com"))

	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, []smtptest.Command{
		{Step: "GREETING", N: 1},
		{Step: "EHLO", N: 1, Line: "EHLO localhost"},
		{Step: "MAIL", N: 1, Line: "MAIL FROM:<pam@example.com> BODY=8BITMIME SMTPUTF8", Address: "pam@example.com"},
		{Step: "RCPT", N: 1, Line: "RCPT TO:<gone@example.com>", Address: "gone@example.com"},
		{Step: "MAIL", N: 2, Line: "MAIL FROM:<pam@example.com> BODY=8BITMIME SMTPUTF8", Address: "pam@example.com"},
		{Step: "RCPT", N: 2, Line: "RCPT TO:<a@example.com>", Address: "a@example.com"},
		{Step: "DATA", N: 1, Line: "DATA"},
		{Step: "BODY", N: 1},
		{Step: "MESSAGE", N: 1},
	}, seen)
}

func TestDrop(t *testing.T) {
	t.Parallel()
	for _, step := range []smtptest.Step{"EHLO", "MAIL", "RCPT", "DATA", "BODY", "MESSAGE"} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			s := smtptest.Start(t, plain)
			s.Script(step, smtptest.Drop)
			require.Error(t, transact(client(t, s), text, "a@example.com"))
			assert.Equal(t, 1, s.Count(step))
			assert.Empty(t, s.Mails())
			require.NoError(t, transact(client(t, s), text, "a@example.com"), "the next client is served")
		})
	}
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	o := smtptest.Options{Mode: email.TLSNone, Auth: "PLAIN LOGIN XOAUTH2", User: "pam", Password: "correct horse"}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, tt := range map[string]struct {
		lines []string
		code  int
	}{
		"PLAIN":                   {[]string{"AUTH PLAIN " + encode("\x00pam\x00correct horse")}, 235},
		"PLAIN, in two steps":     {[]string{"AUTH PLAIN", encode("\x00pam\x00correct horse")}, 235},
		"PLAIN, another password": {[]string{"AUTH PLAIN " + encode("\x00pam\x00battery staple")}, 535},
		"PLAIN, no base64":        {[]string{"AUTH PLAIN %%%"}, 535},
		"LOGIN":                   {[]string{"auth login", encode("pam"), encode("correct horse")}, 235},
		"LOGIN, another user":     {[]string{"AUTH LOGIN", encode("noc"), encode("correct horse")}, 535},
		"XOAUTH2":                 {[]string{"AUTH XOAUTH2 " + encode("user=pam\x01auth=Bearer correct horse\x01\x01")}, 235},
		"XOAUTH2, another token":  {[]string{"AUTH XOAUTH2 " + encode("user=pam\x01auth=Bearer x\x01\x01"), ""}, 535},
		"not offered":             {[]string{"AUTH CRAM-MD5"}, 504},
		"nothing":                 {[]string{"AUTH"}, 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := smtptest.Start(t, o)
			c := textproto.NewConn(dial(t, s))
			_, _, err := c.ReadResponse(220)
			require.NoError(t, err)
			var answer string
			code := 0
			for _, line := range tt.lines {
				require.NoError(t, c.PrintfLine("%s", line))
				code, answer, err = c.ReadResponse(0)
				require.NoError(t, err)
			}
			assert.Equal(t, tt.code, code, answer)
			if name == "PLAIN, another password" {
				assert.Contains(t, answer, "battery staple", "as some servers do")
			}
			require.NoError(t, c.PrintfLine("MAIL FROM:<pam@example.com>"))
			_, _, err = c.ReadResponse(250)
			if tt.code == 235 {
				require.NoError(t, err)
			} else {
				refusal(t, err, 530)
			}
		})
	}
}

func TestAnyLogInIsGood(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, smtptest.Options{Mode: email.TLSNone, Auth: "PLAIN"})
	c := client(t, s)
	require.NoError(t, transact(c, text, "a@example.com"), "and none is needed")
	require.NoError(t, c.Auth(smtp.PlainAuth("", "anybody", "anything", s.Host())))
	s.Script(smtptest.StepAuth, "454 4.7.0 directory is down")
	refusal(t, c.Auth(smtp.PlainAuth("", "anybody", "anything", s.Host())), 454)
}

// A line that SMTP forbids is refused as servers do since it was found to smuggle mails
// (https://www.postfix.org/smtp-smuggling.html).
func TestMalformedLines(t *testing.T) {
	t.Parallel()
	const envelope = "EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
	for name, sent := range map[string]string{
		"bare LF":               "NOOP\n",
		"bare CR":               "NOOP\rQUIT\r\n",
		"NUL":                   "NOOP\x00\r\n",
		"999 bytes":             "NOOP " + strings.Repeat("x", 994) + "\r\n",
		"no end":                strings.Repeat("x", 1<<20),
		"bare LF in a mail":     envelope + "x\n.\r\n",
		"a mail ended by LF":    envelope + "x\r\n.\nMAIL FROM:<evil@example.com>\r\n",
		"a bare CR in a mail":   envelope + "x\r.\r\n",
		"a long line in a mail": envelope + strings.Repeat("x", 999) + "\r\n.\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := smtptest.Start(t, plain)
			conn := dial(t, s)
			_, err := io.WriteString(conn, sent)
			require.NoError(t, err)
			c := textproto.NewConn(conn)
			last := ""
			for line, err := c.ReadLine(); err == nil; line, err = c.ReadLine() {
				last = line
			}
			assert.True(t, strings.HasPrefix(last, "521 5.5.2 malformed line: "), last)
			assert.Equal(t, 1, s.Count(smtptest.StepMalformed))
			assert.Empty(t, s.Mails())
		})
	}
}

func TestTheLongestLine(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	require.NoError(t, transact(client(t, s), "Subject: x\r\n\r\n"+strings.Repeat("x", 998)+"\r\n", "a@example.com"))
	assert.Len(t, s.Mails()[0].Text, 999)
	assert.Zero(t, s.Count(smtptest.StepMalformed))
}

// A test's word for a step is no command: it is not counted.
func TestStepsAreNoCommands(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	c := textproto.NewConn(dial(t, s))
	_, _, err := c.ReadResponse(220)
	require.NoError(t, err)
	for _, step := range []smtptest.Step{smtptest.StepGreeting, smtptest.StepHandshake, smtptest.StepBody, smtptest.StepMessage, smtptest.StepMalformed} {
		before := s.Count(step)
		require.NoError(t, c.PrintfLine("%s", step))
		_, _, err := c.ReadResponse(0)
		require.NoError(t, err)
		require.NoError(t, c.PrintfLine("NOOP"))
		_, _, err = c.ReadResponse(250)
		require.NoError(t, err)
		assert.Equal(t, before, s.Count(step))
	}
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	s := smtptest.Start(t, plain)
	s.Handle(func(smtptest.Command) smtptest.Reply { return smtptest.Usual })
	var wg sync.WaitGroup
	const clients, each = 8, 10
	for n := range clients {
		c := client(t, s)
		wg.Go(func() {
			for range each {
				assert.NoError(t, transact(c, text, fmt.Sprintf("%d@example.com", n)))
				_, _ = s.Mails(), s.Commands()
			}
		})
	}
	require.NoError(t, s.Wait(t.Context(), clients*each))
	wg.Wait()
	assert.Equal(t, clients*each, s.Count(smtptest.StepMessage))
}

// Whatever a client says, the server neither panics nor keeps anything running.
func FuzzConversation(f *testing.F) {
	for _, s := range []string{
		"", "\r\n", "QUIT\r\n", "AUTH PLAIN\r\n*\r\n", "AUTH LOGIN\r\n\r\n\r\n", "STARTTLS\r\n\x16\x03\x01", "MAIL\r\nRCPT\r\nDATA\r\n.\r\n",
		"EHLO x\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nSubject: =?utf-8?q?=0D?=\r\n\r\n..\r\n.\r\nRSET\r\n", "NOOP\n", "\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		s := smtptest.Start(t, smtptest.Options{Auth: "PLAIN LOGIN XOAUTH2"})
		conn := dial(t, s)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		_, _ = io.WriteString(conn, said)
		_ = s.Mails()
		s.Close()
	})
}
