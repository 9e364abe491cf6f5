package email_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	netmail "net/mail"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mailOf sends d through a channel of c and returns the mail that arrived.
func mailOf(t *testing.T, change func(*email.Config), d channel.Delivery) mail {
	t.Helper()
	r := start(t, plain, nil)
	c := config(t, r)
	if change != nil {
		change(&c)
	}
	_, err := open(t, c).Send(t.Context(), d)
	require.NoError(t, err)
	return read(t, only(t, r).Data)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// What people read when nobody wrote a template. Every event of the catalogue arrives; two are shown in full.
func TestDefaultMail(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			l := mailOf(t, nil, sample(typ))
			n := notice.Of(sample(typ).Event)
			assert.Equal(t, n.Title, l.subject)
			require.Len(t, l.parts, 2)
			assert.Equal(t, "text/plain", l.parts[0].kind)
			assert.Equal(t, "text/html", l.parts[1].kind)
			for _, p := range l.parts {
				assert.Equal(t, "UTF-8", p.parameters["charset"])
			}
			assert.Equal(t, n.Text(), strings.ReplaceAll(l.parts[0].text, "\r\n", "\n"))
			assert.NotContains(t, l.parts[1].text, "{{")
			for _, f := range n.Facts {
				assert.Contains(t, l.parts[1].text, ">"+f.Label+"<")
			}
			if n.Link != "" {
				assert.Contains(t, l.parts[1].text, ">"+n.LinkText+"</a>")
			}
		})
	}
	for _, typ := range []event.Type{event.TypeRequestPending, event.TypeGrantFailed} {
		t.Run("golden "+string(typ), func(t *testing.T) {
			t.Parallel()
			l := mailOf(t, nil, sample(typ))
			golden(t, string(typ)+".txt", strings.ReplaceAll(l.parts[0].text, "\r\n", "\n"))
			golden(t, string(typ)+".html", strings.ReplaceAll(l.parts[1].text, "\r\n", "\n"))
		})
	}
}

func TestS58_Header(t *testing.T) {
	t.Parallel()
	d := pending(t, nil, event.Meta{ID: "e-17"})
	before := time.Now().Add(-time.Second)
	l := mailOf(t, func(c *email.Config) {
		c.FromName, c.ReplyTo, c.Domain = "Zugriff – Bücher & \"Co\"", "help@sender.example", "Tocsin.Sender.Example"
	}, d)
	from, err := l.header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, []*netmail.Address{{Name: "Zugriff – Bücher & \"Co\"", Address: "noc@sender.example"}}, from)
	assert.Equal(t, "<help@sender.example>", l.header.Get("Reply-To"))
	assert.Equal(t, "auto-generated", l.header.Get("Auto-Submitted"))
	assert.Equal(t, "1.0", l.header.Get("Mime-Version"))
	id := l.header.Get("Message-Id")
	_, route, _ := strings.Cut(d.ID(), "_")
	assert.Equal(t, "<e-17."+route+"@tocsin.sender.example>", id)
	date, err := l.header.Date()
	require.NoError(t, err)
	assert.WithinRange(t, date, before, time.Now().Add(time.Second))
	assert.True(t, strings.HasSuffix(l.header.Get("Date"), "+0000"), "a local zone says where we are")

	// Nothing else is in it: no software, no host.
	for name := range l.header {
		assert.Contains(t, []string{"From", "To", "Reply-To", "Subject", "Date", "Message-Id", "In-Reply-To", "References",
			"Auto-Submitted", "Mime-Version", "Content-Type"}, name)
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	for _, values := range l.header {
		assert.NotContains(t, strings.Join(values, " "), "@"+host)
	}

	// The same for all attempts, another for another route and for a redelivery on purpose.
	again := func(change func(*channel.Delivery)) string {
		d := d
		change(&d)
		return mailOf(t, func(c *email.Config) { c.Domain = "tocsin.sender.example" }, d).header.Get("Message-Id")
	}
	assert.Equal(t, id, again(func(d *channel.Delivery) { d.Attempt = 2 }))
	assert.NotEqual(t, id, again(func(d *channel.Delivery) { d.Route.Name = "other" }))
	assert.NotEqual(t, id, again(func(d *channel.Delivery) { d.Generation = 1 }))
}

func TestS58_HelloNamesOurDomain(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	_, err := open(t, config(t, r)).Send(t.Context(), sample(event.TypeRequestPending))
	require.NoError(t, err)
	assert.Equal(t, "EHLO sender.example", r.Commands()[0])
	assert.Equal(t, "MAIL FROM:<noc@sender.example> BODY=8BITMIME", r.Commands()[1])
}

// Later news about a request appear under the first, whatever the route; another request, tenant or domain has a thread
// of its own.
func TestThreads(t *testing.T) {
	t.Parallel()
	thread := func(typ event.Type, change func(*email.Config), m event.Meta, route string) string {
		e, _ := event.Sample(typ)
		e = event.Must(event.RequestApproved{AccessRequest: event.AccessRequest{ID: e.Subject()}}, m)
		l := mailOf(t, change, channel.Delivery{Event: e, Route: channel.RouteID{Name: route}})
		assert.Equal(t, l.header.Get("References"), l.header.Get("In-Reply-To"))
		assert.NotEqual(t, l.header.Get("References"), l.header.Get("Message-Id"))
		return l.header.Get("References")
	}
	first := thread(event.TypeRequestPending, nil, event.Meta{}, "a")
	assert.Regexp(t, `^<thread\.[0-9a-f]{32}@sender\.example>$`, first)
	assert.Equal(t, first, thread(event.TypeGrantExpired, nil, event.Meta{}, "b"))
	assert.NotEqual(t, first, thread(event.TypeRequestPending, nil, event.Meta{Subject: "other"}, "a"))
	assert.NotEqual(t, first, thread(event.TypeRequestPending, nil, event.Meta{Tenant: "t-1"}, "a"))
	assert.NotEqual(t, first, thread(event.TypeRequestPending, func(c *email.Config) { c.Domain = "x.example" }, event.Meta{}, "a"))
	assert.Empty(t, mailOf(t, nil, channel.Delivery{Event: event.Must(event.SessionStarted{}, event.Meta{})}).header.Get("References"))
}

func TestOwnTemplates(t *testing.T) {
	t.Parallel()
	macros := template.SessionMacros()
	compileMacros := func(source string, mode template.Mode) *template.Template {
		tpl, err := template.Compile(source, template.Options{Mode: mode, Syntax: template.Macros, Macros: macros})
		require.NoError(t, err)
		return tpl
	}
	for name, tt := range map[string]struct {
		change  func(*email.Config)
		subject string
		text    string
		html    string // "" = none; "default" = that of package notice
	}{
		"subject alone": {func(c *email.Config) { c.Subject = compile(t, "Session {{data.lsid}}", template.Header) },
			"Session ls-9f3b", "default", "default"},
		"text alone": {func(c *email.Config) { c.Text = compile(t, "a\rb\r\nc\n{{data.lsid}}", template.Text) }, "default", "a\nb\nc\nls-9f3b\n", ""},
		"HTML alone": {func(c *email.Config) { c.HTML = compile(t, "<b>{{data.lsid}}</b>", template.HTML) }, "default", "default", "<b>ls-9f3b</b>"},
		"macros": {func(c *email.Config) {
			c.Subject, c.Text = compileMacros("%%event%% %%lsid%%", template.Header), compileMacros("100%% %%lsid%%", template.Text)
		}, "session.started ls-9f3b", "100%% ls-9f3b\n", ""},
		"a subject that is empty": {func(c *email.Config) { c.Subject = compile(t, "{{data.nothing}} ", template.Header) },
			"session.started", "default", "default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := event.Must(event.SessionStarted{Session: event.Session{LSID: "ls-9f3b"}}, event.Meta{})
			l := mailOf(t, tt.change, channel.Delivery{Event: started})
			n := notice.Of(started)
			if tt.subject == "default" {
				tt.subject = n.Title
			}
			if tt.text == "default" {
				tt.text = n.Text()
			}
			assert.Equal(t, tt.subject, l.subject)
			assert.Equal(t, tt.text, strings.ReplaceAll(l.parts[0].text, "\r\n", "\n"))
			switch tt.html {
			case "":
				assert.Len(t, l.parts, 1)
			case "default":
				assert.Contains(t, l.parts[1].text, "<!DOCTYPE html>")
			default:
				assert.Equal(t, tt.html, l.parts[1].text)
			}
		})
	}
}
