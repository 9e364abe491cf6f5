package email_test

import (
	"crypto/tls"
	"errors"
	"fmt"
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
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

func minimal() email.Config {
	return email.Config{Relay: email.Relay{Host: "relay.example"}, From: "noc@sender.example", To: []string{"jo@example.com"}}
}

func addresses(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("user%d@example.com", i))
	}
	return all
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	text := compile(t, "x", template.Text)
	for name, tt := range map[string]struct {
		change func(*email.Config)
		field  string // "" = it is good
	}{
		"minimal":                     {func(*email.Config) {}, ""},
		"no host":                     {func(c *email.Config) { c.Relay.Host = "" }, "Relay.Host"},
		"host with a port":            {func(c *email.Config) { c.Relay.Host = "relay.example:25" }, "Relay.Host"},
		"host with a line feed":       {func(c *email.Config) { c.Relay.Host = "relay.example\n" }, "Relay.Host"},
		"host by address":             {func(c *email.Config) { c.Relay.Host = "10.0.0.1" }, ""},
		"port 25":                     {func(c *email.Config) { c.Relay.Port = 25 }, ""},
		"port 465":                    {func(c *email.Config) { c.Relay.Port = 465 }, ""},
		"port 2525":                   {func(c *email.Config) { c.Relay.Port = 2525 }, ""},
		"port 22":                     {func(c *email.Config) { c.Relay.Port = 22 }, "Relay.Port"},
		"port -1":                     {func(c *email.Config) { c.Relay.Port = -1 }, "Relay.Port"},
		"own port":                    {func(c *email.Config) { c.Relay.Port, c.Relay.Ports = 1025, []int{1025} }, ""},
		"own port that is none":       {func(c *email.Config) { c.Relay.Port, c.Relay.Ports = 70000, []int{70000} }, "Relay.Ports[0]"},
		"default port not among them": {func(c *email.Config) { c.Relay.Ports = []int{25} }, "Relay.Port"},
		"unknown mode":                {func(c *email.Config) { c.Relay.Mode = email.TLSNone + 1 }, "Relay.Mode"},
		"old TLS":                     {func(c *email.Config) { c.Relay.TLS.MinVersion = tls.VersionTLS11 }, "Relay.TLS.MinVersion"},
		"CA that is none":             {func(c *email.Config) { c.Relay.TLS.CAPEM = []byte("x") }, "Relay.TLS.CAPEM"},
		"log-in that is never sent": {func(c *email.Config) {
			c.Relay.Mode, c.Relay.Auth = email.TLSNone, email.Password("noc", secret.Literal("x"))
		}, "Relay.Auth"},
		"no user":                   {func(c *email.Config) { c.Relay.Auth = email.Password("", secret.Literal("x")) }, "Relay.Auth"},
		"user with NUL":             {func(c *email.Config) { c.Relay.Auth = email.Password("a\x00b", secret.Literal("x")) }, "Relay.Auth"},
		"no password":               {func(c *email.Config) { c.Relay.Auth = email.Password("noc", secret.Value{}) }, "Relay.Auth"},
		"password with a line feed": {func(c *email.Config) { c.Relay.Auth = email.Password("noc", secret.Literal("topsecret\n")) }, "Relay.Auth"},
		"token with SOH":            {func(c *email.Config) { c.Relay.Auth = email.OAuth("noc", secret.Literal("topsecret\x01x")) }, "Relay.Auth"},
		"password kept":             {func(c *email.Config) { c.Relay.Auth = email.Password("noc", secret.Kept()) }, "Relay.Auth"},
		"nobody":                    {func(c *email.Config) { c.To = nil }, "To"},
		"ten":                       {func(c *email.Config) { c.To = addresses(10) }, ""},
		"eleven":                    {func(c *email.Config) { c.To = addresses(11) }, "To"},
		"eleven in all": {func(c *email.Config) {
			c.To, c.Bcc, c.ToComputed = addresses(5), addresses(5), []*template.Template{text}
		}, "To"},
		"computed only":             {func(c *email.Config) { c.To, c.ToComputed = nil, []*template.Template{text} }, ""},
		"nil among the computed":    {func(c *email.Config) { c.ToComputed = []*template.Template{text, nil} }, "ToComputed[1]"},
		"computed for HTML":         {func(c *email.Config) { c.ToComputed = []*template.Template{compile(t, "x", template.HTML)} }, "ToComputed[0]"},
		"subject for text":          {func(c *email.Config) { c.Subject = text }, "Subject"},
		"text for HTML":             {func(c *email.Config) { c.Text = compile(t, "x", template.HTML) }, "Text"},
		"HTML for text":             {func(c *email.Config) { c.HTML = text }, "HTML"},
		"name with a line feed":     {func(c *email.Config) { c.FromName = "NOC\r\nBcc: x@y" }, "FromName"},
		"name that decodes":         {func(c *email.Config) { c.FromName = "=?utf-8?q?x?=" }, "FromName"},
		"name read backwards":       {func(c *email.Config) { c.FromName = "\u202eCON" }, "FromName"},
		"name of bad bytes":         {func(c *email.Config) { c.FromName = "\xff" }, "FromName"},
		"name too long":             {func(c *email.Config) { c.FromName = strings.Repeat("x", 101) }, "FromName"},
		"domain with a space":       {func(c *email.Config) { c.Domain = "a b" }, "Domain"},
		"domain that ends the line": {func(c *email.Config) { c.Domain = "a\r\nMAIL" }, "Domain"},
		"domain by address":         {func(c *email.Config) { c.Domain = "192.0.2.1" }, "Domain"},
		"timeout in the past":       {func(c *email.Config) { c.Timeout = -1 }, "Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := minimal()
			tt.change(&c)
			ch, err := email.New(c)
			if tt.field == "" {
				require.NoError(t, err)
				require.NoError(t, ch.Close())
				return
			}
			e, ok := errors.AsType[*channel.ConfigError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tt.field, e.Path)
			assert.NotEmpty(t, e.Remedy)
			assert.NotContains(t, err.Error(), "topsecret")
		})
	}
}

func TestAllConfigProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := email.New(email.Config{Relay: email.Relay{Port: 22}, From: "x", To: []string{"y"}, Timeout: -1})
	for _, field := range []string{"Relay.Host", "Relay.Port", "From", "To[0]", "Timeout"} {
		assert.ErrorContains(t, err, "email: "+field+" ")
	}
}

func TestDefaultPort(t *testing.T) {
	t.Parallel()
	c := minimal()
	assert.Equal(t, "email.Config(relay.example:587)", fmt.Sprint(c))
	c.Relay.Mode = email.TLSImplicit
	assert.Equal(t, "email.Config(relay.example:465)", fmt.Sprintf("%+v", c))
	assert.Equal(t, "email.Config(invalid Relay.Host)", fmt.Sprintf("%#v", email.Config{}))
}

// Port 465 speaks TLS from the first byte: STARTTLS would wait for a greeting that never comes.
func TestPort465(t *testing.T) {
	t.Parallel()
	c := minimal()
	c.Relay.Port = 465
	ch, err := email.New(c)
	require.NoError(t, err)
	assert.Equal(t, email.TLSImplicit, email.ModeOf(ch))
	c.Relay.Port = 587
	ch, err = email.New(c)
	require.NoError(t, err)
	assert.Equal(t, email.TLSRequired, email.ModeOf(ch))
	for _, mode := range []email.TLSMode{email.TLSOpportunistic, email.TLSNone} {
		c.Relay.Port, c.Relay.Mode = 465, mode
		_, err = email.New(c)
		require.EqualError(t, err, "email: Relay.Mode is "+mode.String()+", which port 465 does not speak; use implicit, or port 587")
	}
}

func TestNoEvent(t *testing.T) {
	t.Parallel()
	ch, err := email.New(minimal())
	require.NoError(t, err)
	_, err = ch.Send(t.Context(), channel.Delivery{})
	e, ok := errors.AsType[*email.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, email.KindNoEvent, e.Kind)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
}

// A template that fails says which and where, never on what, and nothing is sent.
func TestFailingTemplate(t *testing.T) {
	t.Parallel()
	fails := func(mode template.Mode) *template.Template {
		tpl, err := template.Compile("\n{{fail data.justification}}", template.Options{Mode: mode, Helpers: map[string]template.Helper{
			"fail": {Min: 1, Max: 1, Call: func(args []any) (any, error) { return nil, fmt.Errorf("cannot do %v", args[0]) }},
		}})
		require.NoError(t, err)
		return tpl
	}
	for field, change := range map[string]func(*email.Config){
		"ToComputed[0]": func(c *email.Config) { c.ToComputed = []*template.Template{fails(template.Text)} },
		"Subject":       func(c *email.Config) { c.Subject = fails(template.Header) },
		"Text":          func(c *email.Config) { c.Text = fails(template.Text) },
		"HTML":          func(c *email.Config) { c.HTML = fails(template.HTML) },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			r := start(t, plain, nil)
			c := config(t, r)
			change(&c)
			_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, email.KindRender, e.Kind)
			assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
			assert.ErrorContains(t, err, field+": ")
			assert.ErrorContains(t, err, "2:3")
			assert.NotContains(t, err.Error(), "INC-48213")
			_, ok = errors.AsType[*template.RenderError](err)
			assert.True(t, ok)
			assert.Zero(t, r.Count("GREETING"))
		})
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	r := start(t, plain, answers(map[smtptest.Step]smtptest.Reply{"MESSAGE": "250-2.0.0 Ok\r\n250 2.0.0 queued as \x1b4F2A"}))
	receipt, err := open(t, config(t, r)).Send(t.Context(), sample(event.TypeRequestPending))
	require.NoError(t, err)
	assert.Equal(t, 250, receipt.Status)
	assert.Positive(t, receipt.Duration)
	assert.Equal(t, fmt.Sprintf("SMTP 127.0.0.1:%d", r.Port()), receipt.Request.Start)
	assert.Equal(t, string(only(t, r).Data), string(receipt.Request.Body))
	assert.Equal(t, "250 2.0.0 Ok", receipt.Response.Start)
	assert.Equal(t, "2.0.0 Ok\n2.0.0 queued as 4F2A", string(receipt.Response.Body))

	c := config(t, r)
	c.Text = compile(t, "{{#each data.approvals}}"+strings.Repeat("x", 40<<10)+"{{/each}}", template.Text)
	receipt, err = open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
	require.NoError(t, err)
	assert.True(t, receipt.Request.Truncated)
	assert.Len(t, receipt.Request.Body, 64<<10)
}

func TestMetadataHostIsRefused(t *testing.T) {
	t.Parallel()
	c := minimal()
	c.Relay.Host = "metadata.google.internal"
	ch, err := email.New(c)
	require.NoError(t, err)
	require.ErrorIs(t, ch.Check(t.Context()), netguard.ErrDestinationBlocked)
}
