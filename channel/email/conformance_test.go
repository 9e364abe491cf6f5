package email_test

import (
	"encoding/base64"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// scripted is a relay that answers as a says, and repeats what it was sent in its refusals. SMTP has no way to name a
// pause.
func scripted(t *testing.T, a channeltest.Answer, o smtptest.Options) *smtptest.Server {
	t.Helper()
	r := smtptest.Start(t, o)
	var seen atomic.Pointer[string]
	r.Handle(func(c smtptest.Command) smtptest.Reply {
		if c.Step == "AUTH" {
			said := c.Line + " " + strings.ReplaceAll(decode(c.Line[strings.LastIndexByte(c.Line, ' ')+1:]), "\x00", " ")
			seen.Store(&said)
		}
		echo := smtptest.Reply("")
		if said := seen.Load(); said != nil {
			echo = smtptest.Reply(*said)
		}
		switch {
		case a == channeltest.Unavailable && c.Step == "AUTH":
			return "535 5.7.8 " + echo
		case a == channeltest.Rejected && c.Step == "MESSAGE":
			return "554 5.7.1 " + echo
		case a == channeltest.Gone && c.Step == "GREETING":
			return "521 5.3.2 this host takes no mail"
		case a == channeltest.Silent && c.Step == "MAIL":
			return smtptest.Hang
		case c.Step == "AUTH":
			return "235 2.7.0 hello " + echo
		case c.Step == "MESSAGE":
			return "250 2.0.0 " + echo
		}
		return ""
	})
	return r
}

var unsupported = []channeltest.Answer{channeltest.Throttled}

func TestConformance(t *testing.T) {
	t.Parallel()
	const password = "correct horse/battery+staple"
	channeltest.Run(t, channeltest.Suite{
		New: func(t *testing.T, a channeltest.Answer) channel.Channel {
			r := scripted(t, a, smtptest.Options{Auth: "PLAIN"})
			c := config(t, r)
			c.Relay.Mode = email.TLSRequired
			c.Relay.TLS.CAPEM = r.Authority()
			c.Relay.Auth = email.Password("noc", secret.Literal(password))
			ch, err := email.New(c)
			if err != nil {
				t.Fatal(err)
			}
			return ch
		},
		Unsupported: unsupported,
		Secrets:     []string{password, base64.StdEncoding.EncodeToString([]byte("\x00noc\x00" + password))},
	})
}

func TestS50_NoLeaks(t *testing.T) {
	for name, auth := range map[string]func(secret.Value) email.Auth{
		"password": func(v secret.Value) email.Auth { return email.Password("noc", v) },
		"oauth":    func(v secret.Value) email.Auth { return email.OAuth("noc", v) },
	} {
		t.Run(name, func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[email.Config]{
				Config: func() email.Config {
					return email.Config{
						Relay: email.Relay{Host: "127.0.0.1", Mode: email.TLSNone, AllowPlaintextAuth: true, Auth: auth(secret.Literal("x"))},
						From:  "noc@sender.example",
						To:    []string{"jo@example.com"},
						Guard: guard(t),
					}
				},
				New: func(t *testing.T, c email.Config, a channeltest.Answer) (channel.Channel, error) {
					r := scripted(t, a, smtptest.Options{Mode: email.TLSNone, Auth: "PLAIN XOAUTH2"})
					c.Relay.Port, c.Relay.Ports = r.Port(), []int{r.Port()}
					ch, err := email.New(c)
					if err != nil {
						return nil, err
					}
					return ch, nil
				},
				Unsupported: unsupported,
			})
		})
	}
}
