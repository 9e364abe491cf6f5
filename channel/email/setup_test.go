package email_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// guard allows loopback.
func guard(t testing.TB) *netguard.Guard {
	t.Helper()
	g, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	require.NoError(t, err)
	return g
}

// plain is a relay in clear that wants no log-in.
var plain = smtptest.Options{Mode: email.TLSNone}

// start starts a relay that answers as handle says; nil = as usual. When the test ends, it is checked that everything
// that went over the wire was well-formed and printable ASCII.
func start(t testing.TB, o smtptest.Options, handle func(smtptest.Command) smtptest.Reply) *smtptest.Server {
	t.Helper()
	r := smtptest.Start(t, o)
	r.Handle(handle)
	t.Cleanup(func() {
		assert.Zero(t, r.Count(smtptest.StepMalformed))
		said := r.Commands()
		for _, m := range r.Mails() {
			said = append(said, string(m.Data))
		}
		for _, s := range said {
			assert.False(t, strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("\t\r\n", r) && (r < ' ' || r > '~') }), "%.100q", s)
		}
	})
	return r
}

// config is a complete configuration for a relay in clear.
func config(t testing.TB, r *smtptest.Server) email.Config {
	t.Helper()
	return email.Config{
		Relay: email.Relay{Host: "127.0.0.1", Port: r.Port(), Ports: []int{r.Port()}, Mode: email.TLSNone},
		From:  "noc@sender.example",
		To:    []string{"jo@example.com"},
		Guard: guard(t),
	}
}

// open makes a channel of c that is closed when the test ends.
func open(t testing.TB, c email.Config) *email.Channel {
	t.Helper()
	ch, err := email.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, ch.Close()) })
	return ch
}

// pending is a delivery of a new access request, with the given changes.
func pending(t testing.TB, change func(*event.RequestPending), m event.Meta) channel.Delivery {
	t.Helper()
	e, _ := event.Sample(event.TypeRequestPending)
	p, err := event.Decode[event.RequestPending](e)
	require.NoError(t, err)
	if change != nil {
		change(&p)
	}
	e, err = event.New(p, m)
	require.NoError(t, err)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "mail"}, Attempt: 1}
}

func sample(typ event.Type) channel.Delivery {
	e, _ := event.Sample(typ)
	return channel.Delivery{Event: e, Route: channel.RouteID{Name: "mail"}, Attempt: 1}
}

func compile(t testing.TB, source string, mode template.Mode) *template.Template {
	t.Helper()
	tpl, err := template.Compile(source, template.Options{Mode: mode})
	require.NoError(t, err)
	return tpl
}

// mail is a message as a mail program reads it.
type mail struct {
	header  netmail.Header
	subject string
	parts   []part
}

type part struct {
	kind, text string
	parameters map[string]string
}

// read parses a message with the standard library.
func read(t testing.TB, data []byte) mail {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	require.NoError(t, err)
	l := mail{header: m.Header}
	l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	require.NoError(t, err)
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	if kind != "multipart/alternative" {
		require.Equal(t, "quoted-printable", m.Header.Get("Content-Transfer-Encoding"))
		text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		require.NoError(t, err)
		l.parts = []part{{kind, string(text), parameters}}
		return l
	}
	for r := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		p, err := r.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return l
		}
		require.NoError(t, err)
		kind, parameters, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		require.NoError(t, err)
		text, err := io.ReadAll(p)
		require.NoError(t, err)
		l.parts = append(l.parts, part{kind, string(text), parameters})
	}
}

// only returns the one mail that was taken.
func only(t testing.TB, r *smtptest.Server) smtptest.Mail {
	t.Helper()
	mails := r.Mails()
	require.Len(t, mails, 1)
	return mails[0]
}

// recorded is a logger, and what it wrote.
func recorded() (*slog.Logger, *bytes.Buffer) {
	var lines bytes.Buffer
	return slog.New(slog.NewTextHandler(&lines, nil)), &lines
}

// literal is a secret that is known.
func literal(s string) secret.Value { return secret.Literal(s) }

// copyOf returns a copy of a channel.
func copyOf(c *email.Channel) email.Channel { return *c }
