package email_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// addresses that are refused wherever one is configured or computed. Most are attacks: a second recipient, a parameter
// or a command of SMTP, a header line, a route through another host.
var badAddresses = []string{
	"", "jo", "@", "@example.com", "jo@", "jo@@example.com", "jo@example.com@evil.example",
	"jo@example.com\r\nBcc: evil@evil.example", "jo@example.com\nRCPT TO:<evil@evil.example>", "jo\r\n@example.com", "jo@exa\x00mple.com",
	"b@x> NOTIFY=NEVER", "b@x.example> ORCPT=rfc822;evil@evil.example", "jo@example.com>", "<jo@example.com>", "Jo <jo@example.com>",
	"a@x.example,b@x.example", "a@x.example;b@x.example", "a@x.example b@x.example", "jo@example.com (comment)", "group:jo@example.com;",
	`"jo smith"@example.com`, `"jo"@example.com`, `jo\@example.com`, "@relay.example:jo@example.com",
	"jo@[127.0.0.1]", "jo@127.0.0.1", "jo@[IPv6:::1]", "jo@2130706433", "jo@0x7f000001",
	".jo@example.com", "jo.@example.com", "jo..smith@example.com", "jo@example..com", "jo@.example.com", "jo@example.com.",
	"jo@-example.com", "jo@exam_ple.com", "jo@exa mple.com", "jo@example.com:25", "jo@example.com/x", "jo@example.com?subject=x",
	"jö@example.com", "jo\u202e@example.com", "jo\u200b@example.com", "jo@①②⑦.⓪.⓪.①", "jo\t@example.com", "jo@example.com\u2028x",
	strings.Repeat("a", 65) + "@example.com", "jo@" + strings.Repeat("a", 64) + ".example", "jo@" + strings.Repeat("abcdefg.", 32) + "example",
}

func TestS56_BadAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range badAddresses {
		t.Run(fmt.Sprintf("%.40q", bad), func(t *testing.T) {
			t.Parallel()
			_, problem := email.ParseAddress(bad)
			assert.NotEmpty(t, problem)

			// Configured: refused with the field's name and without the address.
			for field, set := range map[string]func(*email.Config){
				"From":    func(c *email.Config) { c.From = bad },
				"To[1]":   func(c *email.Config) { c.To = []string{"jo@example.com", bad} },
				"Bcc[0]":  func(c *email.Config) { c.Bcc = []string{bad} },
				"ReplyTo": func(c *email.Config) { c.ReplyTo = bad },
			} {
				c := email.Config{Relay: email.Relay{Host: "relay.example"}, From: "noc@sender.example", To: []string{"jo@example.com"}}
				set(&c)
				_, err := email.New(c)
				if field == "ReplyTo" && bad == "" {
					require.NoError(t, err)
					continue
				}
				e, ok := errors.AsType[*channel.ConfigError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, field, e.Path)
				if bad != "" && bad != "@" {
					assert.NotContains(t, e.Problem, bad)
				}
			}

			// Computed from the event: the others get the mail, and the bad one reaches neither a command nor a header.
			r := start(t, plain, nil)
			c := config(t, r)
			c.ToComputed = []*template.Template{compile(t, "{{data.requester.email}}", template.Text)}
			_, err := open(t, c).Send(t.Context(), pending(t, func(p *event.RequestPending) {
				p.Requester.Email, p.Requester.Name = bad, "Jo"
			}, event.Meta{}))
			if bad == "" {
				require.NoError(t, err)
			} else {
				e, ok := errors.AsType[*email.Error](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, []email.Refusal{{Recipient: "ToComputed[0]"}}, e.Refusals)
			}
			mail := only(t, r)
			assert.Equal(t, []string{"jo@example.com"}, mail.To)
			l := read(t, mail.Data)
			assert.Equal(t, "<jo@example.com>", l.header.Get("To"))
			assert.Empty(t, l.header.Get("Bcc"))
			assert.Equal(t, 1, r.Count("RCPT"))
		})
	}
}

func TestS56_GoodAddresses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"jo@example.com":                       "jo@example.com",
		"Jo.Smith+access@Example.COM":          "Jo.Smith+access@example.com",
		"jo@bücher.example":                    "jo@xn--bcher-kva.example",
		"a!#$%&'*+-/=?^_`{|}~z@example.com":    "a!#$%&'*+-/=?^_`{|}~z@example.com",
		"root@mailhost":                        "root@mailhost",
		strings.Repeat("a", 64) + "@x.example": strings.Repeat("a", 64) + "@x.example",
	} {
		got, problem := email.ParseAddress(raw)
		assert.Empty(t, problem, raw)
		assert.Equal(t, want, got)
	}
}

// No text of an event adds a header, a part or a command, or is taken for markup.
func TestS57_HostileText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"x\r\nBcc: evil@evil.example\r\n\r\nbody", "x\nX-Injected: 1", "x\rX-Injected: 1", "x\u2028X-Injected: 1", "x\u0085X-Injected: 1", "x\x00y\x1b[31mz",
		"=?utf-8?q?=0D=0ABcc:_evil@evil.example?=", "=?utf-8?B?DQpCY2M6IGV2aWw=?=", "=\u202e?utf-8?q?x?=", "==??utf-8?q?x?=",
		"approve\u202eevorppa\u202c", "\u2066x\u2069", "\ufeffx\u200by", "\xff\xfe",
		"\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n", ".\r\n..\r\n", "\n.\n", "--boundary--\r\n", "From the start",
		`<script>alert(1)</script><img src=x onerror=alert(1)>`, `"><a href="https://evil.example">Approve</a>`, "{{data}} %%user%%",
		strings.Repeat("long ", 400), strings.Repeat("x", 5000), strings.Repeat("é", 1500), strings.Repeat("😀", 1500), strings.Repeat(" ", 3000) + "x",
		strings.Repeat("\n", 3000) + "x", strings.Repeat("a\r", 1000), "",
	} {
		t.Run(fmt.Sprintf("%.30q", text), func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, nil) // which checks every line that comes over the wire
			c := config(t, r)
			c.Subject = compile(t, "About: {{data.justification}}", template.Header)
			own := c
			own.Text = compile(t, "{{data.justification}}", template.Text)
			own.HTML = compile(t, `<p title="{{data.justification}}">{{data.justification}}</p>`, template.HTML)
			d := pending(t, func(p *event.RequestPending) {
				p.Justification, p.Requester.Name, p.FriendlyID = text, text, text
			}, event.Meta{})
			for _, c := range []email.Config{c, own} {
				_, err := open(t, c).Send(t.Context(), d)
				require.NoError(t, err)
			}
			mails := r.Mails()
			require.Len(t, mails, 2)
			assert.Equal(t, 2, r.Count("MAIL"))
			for i, m := range mails {
				l := read(t, m.Data)
				assert.Len(t, l.header, 10, "no header but ours: %v", l.header)
				assert.True(t, strings.HasPrefix(l.subject, "About:"))
				assert.LessOrEqual(t, utf8.RuneCountInString(l.subject), 255)
				assert.False(t, strings.ContainsFunc(l.subject, func(r rune) bool {
					return r < ' ' || r == 0x7f || r == 0x85 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
				}), "%q", l.subject)
				require.Len(t, l.parts, 2)
				for _, p := range l.parts {
					assert.False(t, strings.ContainsAny(p.text, "\x00\x1b\u202e\u2066"), "%q", p.text)
				}
				html := l.parts[1].text
				if strings.Contains(text, "<") {
					assert.NotContains(t, html, "<script")
					assert.NotContains(t, html, "<img")
					assert.NotContains(t, html, "evil.example\">")
					assert.Contains(t, html, "&lt;")
				}
				if i == 1 && !strings.ContainsAny(text, "\r\x00\x1b\u202e\u2066\u0085") && utf8.ValidString(text) {
					assert.Equal(t, text, strings.TrimSuffix(strings.ReplaceAll(l.parts[0].text, "\r\n", "\n"), "\r\n"), "text arrives as it is")
				}
			}
		})
	}
}

// Ten recipients of the greatest length, the longest names: no header line is too long.
func TestS57_LongestHeader(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	c := config(t, r)
	domain := strings.Repeat(strings.Repeat("d", 60)+".", 3) + "example"
	c.To = nil
	for i := range 10 {
		c.To = append(c.To, fmt.Sprintf("%s%d@%s", strings.Repeat("x", 60), i, domain[:254-62-6]+"."+"abc"))
	}
	c.From = strings.Repeat("f", 64) + "@" + domain[:180] + ".example"
	c.FromName = strings.Repeat("ü", 100)
	c.Subject = compile(t, strings.Repeat("🔥", 300), template.Header)
	_, err := open(t, c).Send(t.Context(), pending(t, nil, event.Meta{ID: strings.Repeat("e", 100)}))
	require.NoError(t, err)
	mail := only(t, r)
	assert.Len(t, mail.To, 10)
	l := read(t, mail.Data)
	to, err := l.header.AddressList("To")
	require.NoError(t, err)
	assert.Len(t, to, 10)
	from, err := l.header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, c.FromName, from[0].Name)
	assert.Equal(t, 255, utf8.RuneCountInString(l.subject))
}
