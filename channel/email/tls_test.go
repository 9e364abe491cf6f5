package email_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// answers makes a relay answer the steps of a map, and all others as usual.
func answers(steps map[smtptest.Step]smtptest.Reply) func(smtptest.Command) smtptest.Reply {
	return func(c smtptest.Command) smtptest.Reply { return steps[c.Step] }
}

func TestS54_Modes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode, relay email.TLSMode
		startTLS    smtptest.Reply
		encrypted   bool
	}{
		"required":                           {email.TLSRequired, email.TLSRequired, "", true},
		"implicit":                           {email.TLSImplicit, email.TLSImplicit, "", true},
		"opportunistic, offered":             {email.TLSOpportunistic, email.TLSRequired, "", true},
		"opportunistic, not offered":         {email.TLSOpportunistic, email.TLSNone, "", false},
		"opportunistic, offered and refused": {email.TLSOpportunistic, email.TLSRequired, "454 4.7.0 not now", false},
		"none, although offered":             {email.TLSNone, email.TLSRequired, "", false},
		// What somebody in between adds to the reply in clear must not be read as a reply under TLS.
		"required, with replies smuggled in": {email.TLSRequired, email.TLSRequired, "220 go ahead\r\n250-relay.test\r\n250 AUTH PLAIN", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, smtptest.Options{Mode: tt.relay}, answers(map[smtptest.Step]smtptest.Reply{"STARTTLS": tt.startTLS}))
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = tt.mode, r.Authority()
			receipt, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			require.NoError(t, err)
			assert.Equal(t, 250, receipt.Status)
			assert.Equal(t, tt.encrypted, only(t, r).TLS)
		})
	}
}

// Keywords of the answer to EHLO mean the same in any case (RFC 5321 section 4.1.1.1), before and under TLS.
func TestKeywordsInAnyCase(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode   email.TLSMode
		clear  smtptest.Reply // to EHLO
		secure smtptest.Reply // under TLS
		kind   email.Kind
		login  string
	}{
		"required":            {email.TLSRequired, "250-relay.test\r\n250-Size 1000000\r\n250 StartTLS", "250-relay.test\r\n250 auth PLAIN", "", "PLAIN"},
		"opportunistic":       {email.TLSOpportunistic, "250-relay.test\r\n250 starttls", "250-relay.test\r\n250-Auth login\r\n250 help", "", "LOGIN"},
		"implicit":            {email.TLSImplicit, "", "250-relay.test\r\n250 aUTh\tx plain", email.KindNoAuth, ""}, // not a keyword and a blank
		"implicit, lower":     {email.TLSImplicit, "", "250-relay.test\r\n250 auth plain", "", "PLAIN"},
		"size":                {email.TLSRequired, "250-relay.test\r\n250 STARTTLS", "250-relay.test\r\n250-size 100\r\n250 auth PLAIN", email.KindTooLarge, "PLAIN"},
		"what TLS has hidden": {email.TLSRequired, "250-relay.test\r\n250-STARTTLS\r\n250 AUTH PLAIN", "250 relay.test", email.KindNoAuth, ""},
		"parameters stay":     {email.TLSRequired, "250-relay.test\r\n250 STARTTLS", "250-relay.test\r\n250-X-Size size 1\r\n250 AUTH X-OWN LOGIN", "", "LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := smtptest.Options{Mode: tt.mode, Auth: "PLAIN LOGIN", User: "noc", Password: "correct horse"}
			r := start(t, o, func(c smtptest.Command) smtptest.Reply {
				switch {
				case c.Step != "EHLO":
					return ""
				case c.N == 1 && tt.mode != email.TLSImplicit:
					return tt.clear
				}
				return tt.secure
			})
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = tt.mode, r.Authority()
			c.Relay.Auth = email.Password("noc", secret.Literal("correct horse"))
			_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			for _, line := range r.Commands() {
				if mechanism, ok := strings.CutPrefix(line, "AUTH "); ok {
					assert.Equal(t, tt.login, strings.Fields(mechanism)[0])
				}
			}
			if tt.kind != "" {
				e, ok := errors.AsType[*email.Error](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, tt.kind, e.Kind)
				return
			}
			require.NoError(t, err)
			assert.True(t, only(t, r).TLS)
			assert.Equal(t, 1, r.Count("AUTH"))
		})
	}
}

func TestS54_NothingIsSentWithoutRequiredTLS(t *testing.T) {
	t.Parallel()
	old := httptest.NewTLSServer(nil)
	defer old.Close()
	old.TLS.MaxVersion = tls.VersionTLS12
	for name, tt := range map[string]struct {
		relay  smtptest.Options
		steps  map[smtptest.Step]smtptest.Reply
		change func(*email.Config)
		kind   email.Kind
		delay  time.Duration
	}{
		"STARTTLS stripped":   {smtptest.Options{}, map[smtptest.Step]smtptest.Reply{"EHLO": "250-relay.test\r\n250 AUTH PLAIN"}, nil, email.KindNoTLS, time.Hour},
		"EHLO not understood": {plain, map[smtptest.Step]smtptest.Reply{"EHLO": "500 what?", "HELO": "250 old relay"}, nil, email.KindNoTLS, time.Hour},
		"STARTTLS refused":    {smtptest.Options{}, map[smtptest.Step]smtptest.Reply{"STARTTLS": "454 4.7.0 not now"}, nil, email.KindReply, 0},
		"unknown authority":   {smtptest.Options{}, nil, func(c *email.Config) { c.Relay.TLS.CAPEM = nil }, netguard.KindTLSCert, time.Hour},
		"another host":        {smtptest.Options{}, nil, func(c *email.Config) { c.Relay.TLS.ServerName = "other.test" }, netguard.KindTLSCert, time.Hour},
		"refused by us": {smtptest.Options{}, nil, func(c *email.Config) {
			c.Relay.TLS.VerifyConnection = func(tls.ConnectionState) error { return errors.New("too old") }
		}, netguard.KindTLSCert, time.Hour},
		"version too low": {smtptest.Options{TLS: old.TLS}, nil, func(c *email.Config) {
			c.Relay.TLS.MinVersion = tls.VersionTLS13
		}, netguard.KindTLSVersion, 0},
		"implicit TLS on a port in clear": {plain, nil, func(c *email.Config) { c.Relay.Mode = email.TLSImplicit }, netguard.KindTLS, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.relay.Auth = "PLAIN"
			r := smtptest.Start(t, tt.relay) // a handshake in place of commands is no fault here
			r.Handle(answers(tt.steps))
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = email.TLSRequired, r.Authority()
			c.Relay.Auth = email.Password("noc", secret.Literal("correct horse"))
			if tt.change != nil {
				tt.change(&c)
			}
			receipt, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tt.kind, e.Kind, "%v", err)
			assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: tt.delay}, retry.Classify(t.Context(), err))
			assert.NotEmpty(t, receipt.Request.Body, "what was to be sent")
			for _, line := range r.Commands() {
				assert.NotContains(t, "MAIL AUTH", strings.Fields(line + " ")[0], "sent in clear or to a stranger")
			}
		})
	}
}

func TestS37_UnverifiedTLSIsShown(t *testing.T) {
	t.Parallel()
	r := start(t, smtptest.Options{}, nil)
	c := config(t, r)
	c.Relay.Mode, c.Relay.TLS.InsecureSkipVerify = email.TLSRequired, true
	logger, lines := recorded()
	c.Logger = logger
	ch := open(t, c)
	_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
	require.NoError(t, err)
	assert.Contains(t, lines.String(), "does not verify")
	assert.Contains(t, fmt.Sprint(ch), "not verified")
}
