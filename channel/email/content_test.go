package email_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// contents are texts that grow when they are escaped or encoded, or that have a meaning somewhere.
func contents() []string {
	return []string{
		"", " ", "=", "&", "<", "'", "\"", "\\", "`", "é", "😀", "\n", "\r\n.\r\n", "\t", "\x00", "\x1b[2J", "\u202e", "\u2028", ".",
		"=?utf-8?q?=0D=0A?=", "{{", "%%", "x\r\nBcc: evil@evil.example", "a, b@evil.example", "\u0301",
	}
}

// withText is an event with a long text.
func withText(t *testing.T, text string, size int) event.Event {
	t.Helper()
	sample, _ := event.Sample(event.TypeRequestPending)
	p, err := event.Decode[event.RequestPending](sample)
	require.NoError(t, err)
	for ; ; size /= 2 { // until it is small enough for an event
		p.Justification = text
		if text != "" {
			p.Justification = strings.Repeat(text, max(size/len(text), 1))
		}
		p.FriendlyID, p.Requester.Name = p.Justification[:min(len(p.Justification), 200)], text
		e, err := event.New(p, event.Meta{})
		if err == nil {
			return e
		}
		require.Greater(t, size, 1, "%v", err)
	}
}

// Nothing that an event holds keeps it from being mailed.
func TestNoContentKillsAMail(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	plain := config(t, r)
	own := plain
	own.Subject = compile(t, "{{data.justification}}", template.Header)
	own.Text = compile(t, strings.Repeat("{{data.justification}}", 3), template.Text)
	own.HTML = compile(t, strings.Repeat("<p>{{data.justification}}</p>", 3), template.HTML)
	loop := plain
	loop.Text = compile(t, "{{#each data.access_units}}{{#each ../data.access_units}}{{#each ../../data.access_units}}{{this}}{{/each}}{{/each}}{{/each}}{{data.justification}}", template.Text)
	for name, c := range map[string]email.Config{"built-in": plain, "own": own, "loop": loop} {
		ch := open(t, c)
		for _, text := range contents() {
			for _, size := range []int{1, 240 << 10} {
				d := sample(event.TypeRequestPending)
				d.Event = withText(t, text, size)
				_, err := ch.Send(t.Context(), d)
				require.NoError(t, err, "%s: %d of %q", name, size, text)
			}
		}
	}
	for _, m := range r.Mails() {
		assert.NotEmpty(t, read(t, m.Data).subject)
		assert.Equal(t, []string{"jo@example.com"}, m.To)
	}
}

// A template that makes too much of an event's data gives way to what package notice says.
func TestATemplateThatMakesTooMuchGivesWay(t *testing.T) {
	t.Parallel()
	r := start(t, plain, nil)
	c := config(t, r)
	c.HTML = compile(t, "<i>{{data.justification}}</i>", template.HTML)
	c.Text = compile(t, "own {{data.friendly_id}}", template.Text)
	ch := open(t, c)
	d := sample(event.TypeRequestPending)
	d.Event = withText(t, "=", 240<<10)
	_, err := ch.Send(t.Context(), d)
	require.NoError(t, err)
	l := read(t, only(t, r).Data)
	assert.Contains(t, l.parts[0].text, "own ")
	assert.Contains(t, l.parts[1].text, "<!DOCTYPE html>", "the built-in page")
	assert.Contains(t, l.parts[1].text, "Justification")

	c.ToComputed = []*template.Template{compile(t, strings.Repeat("{{data.justification}}", 9), template.Text)}
	_, err = open(t, c).Send(t.Context(), d)
	e, ok := errors.AsType[*email.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, []email.Refusal{{Recipient: "ToComputed[0]"}}, e.Refusals)
	assert.Len(t, r.Mails(), 2, "the others get it")
}

// A relay that takes small mails only gets a shorter one.
func TestAMailThatIsTooLargeIsMadeShorter(t *testing.T) {
	t.Parallel()
	r := start(t, smtptest.Options{Mode: email.TLSNone, Extensions: []string{"SIZE 4000"}}, nil)
	d := sample(event.TypeRequestPending)
	d.Event = withText(t, "why ", 100<<10)
	receipt, err := open(t, config(t, r)).Send(t.Context(), d)
	require.NoError(t, err)
	m := only(t, r)
	assert.LessOrEqual(t, len(m.Data), 4000)
	assert.Equal(t, string(m.Data), string(receipt.Request.Body))
	l := read(t, m.Data)
	require.Len(t, l.parts, 1)
	assert.Contains(t, l.parts[0].text, "The details are more than the mail server takes.")
	assert.Contains(t, l.parts[0].text, "https://access.example.com/requests/")
	assert.NotEmpty(t, l.header.Get("Message-Id"))
}

// No copy, embedding or verb prints a credential or who gets mail.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const planted = "Pl4nted-s3cret"
	c := minimal()
	c.Bcc = []string{"hidden@planted.example"}
	c.Relay.Auth = email.Password("noc", literal(planted))
	ch := open(t, c)
	type embedded struct{ email.Channel }
	type inside struct{ ch email.Channel }
	type pointer struct{ ch *email.Channel }
	copied := copyOf(ch)
	for name, v := range map[string]any{
		"channel": ch, "copy": copied, "embedded": embedded{copied}, "unexported": inside{copied}, "unexported pointer": pointer{ch},
		"list": []any{ch, copied, &copied}, "map": map[string]email.Channel{"a": copied},
		"config": c, "pointer to a config": &c, "auth": c.Relay.Auth, "relay": c.Relay, "copy of an auth": struct{ a email.Auth }{c.Relay.Auth},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
			shown := fmt.Sprintf(verb, v)
			assert.NotContains(t, shown, planted, "%s of %s", verb, name)
			assert.NotContains(t, shown, "506c346e7465642d733363726574", "%s of %s", verb, name)
			if verb != "%p" { // which prints a Config's fields
				assert.NotContains(t, shown, "planted.example", "%s of %s", verb, name)
			}
		}
	}
	assert.Equal(t, fmt.Sprint(ch), fmt.Sprint(copied))
}
