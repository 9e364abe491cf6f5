package email_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// answers makes a relay answer the steps of a map, and all others as usual.
func answers(steps map[string]string) func(string, string, int) string {
	return func(step, _ string, _ int) string { return steps[step] }
}

func TestS54_Modes(t *testing.T) {
	t.Parallel()
	server, authority := certificate(t)
	for name, tt := range map[string]struct {
		mode      email.TLSMode
		relay     *relay
		encrypted bool
	}{
		"required":                           {email.TLSRequired, &relay{tls: server}, true},
		"implicit":                           {email.TLSImplicit, &relay{tls: server, implicit: true}, true},
		"opportunistic, offered":             {email.TLSOpportunistic, &relay{tls: server}, true},
		"opportunistic, not offered":         {email.TLSOpportunistic, &relay{}, false},
		"opportunistic, offered and refused": {email.TLSOpportunistic, &relay{tls: server, answer: answers(map[string]string{"STARTTLS": "454 4.7.0 not now"})}, false},
		"none, although offered":             {email.TLSNone, &relay{tls: server}, false},
		// What somebody in between adds to the reply in clear must not be read as a reply under TLS.
		"required, with replies smuggled in": {email.TLSRequired, &relay{tls: server, answer: answers(map[string]string{
			"STARTTLS": "220 go ahead\r\n250-relay.test\r\n250 AUTH PLAIN"})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tt.relay.start(t)
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = tt.mode, authority
			receipt, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			require.NoError(t, err)
			assert.Equal(t, 250, receipt.Status)
			assert.Equal(t, tt.encrypted, only(t, r).tls)
		})
	}
}

// Keywords of the answer to EHLO mean the same in any case (RFC 5321 section 4.1.1.1), before and under TLS.
func TestKeywordsInAnyCase(t *testing.T) {
	t.Parallel()
	server, authority := certificate(t)
	for name, tt := range map[string]struct {
		mode   email.TLSMode
		clear  string // answer to EHLO
		secure string // under TLS
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
			r := &relay{tls: server, implicit: tt.mode == email.TLSImplicit, user: "noc", password: "correct horse"}
			r.answer = func(step, _ string, n int) string {
				switch {
				case step != "EHLO":
					return ""
				case n == 1 && !r.implicit:
					return tt.clear
				}
				return tt.secure
			}
			r.start(t)
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = tt.mode, authority
			c.Relay.Auth = email.Password("noc", secret.Literal("correct horse"))
			_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			for _, line := range r.said() {
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
			assert.True(t, only(t, r).tls)
			assert.Equal(t, 1, r.count("AUTH"))
		})
	}
}

func TestS54_NothingIsSentWithoutRequiredTLS(t *testing.T) {
	t.Parallel()
	server, authority := certificate(t)
	for name, tt := range map[string]struct {
		relay  *relay
		change func(*email.Config)
		kind   email.Kind
		delay  time.Duration
	}{
		"STARTTLS stripped":   {&relay{tls: server, hideTLS: true}, nil, email.KindNoTLS, time.Hour},
		"EHLO not understood": {&relay{answer: answers(map[string]string{"EHLO": "500 what?", "HELO": "250 old relay"})}, nil, email.KindNoTLS, time.Hour},
		"STARTTLS refused":    {&relay{tls: server, answer: answers(map[string]string{"STARTTLS": "454 4.7.0 not now"})}, nil, email.KindReply, 0},
		"unknown authority":   {&relay{tls: server}, func(c *email.Config) { c.Relay.TLS.CAPEM = nil }, netguard.KindTLSCert, time.Hour},
		"another host":        {&relay{tls: server}, func(c *email.Config) { c.Relay.TLS.ServerName = "other.test" }, netguard.KindTLSCert, time.Hour},
		"refused by us": {&relay{tls: server}, func(c *email.Config) {
			c.Relay.TLS.VerifyConnection = func(tls.ConnectionState) error { return errors.New("too old") }
		}, netguard.KindTLSCert, time.Hour},
		"version too low": {&relay{tls: &tls.Config{Certificates: server.Certificates, MaxVersion: tls.VersionTLS12}}, //nolint:gosec // what is to be refused
			func(c *email.Config) { c.Relay.TLS.MinVersion = tls.VersionTLS13 }, netguard.KindTLSVersion, 0},
		"implicit TLS on a port in clear": {&relay{}, func(c *email.Config) { c.Relay.Mode = email.TLSImplicit }, netguard.KindTLS, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tt.relay
			r.auth = "PLAIN"
			r.listen(t) // a handshake in place of commands is no fault here
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM = email.TLSRequired, authority
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
			for _, line := range r.said() {
				assert.NotContains(t, "MAIL AUTH", strings.Fields(line + " ")[0], "sent in clear or to a stranger")
			}
		})
	}
}

func TestS37_UnverifiedTLSIsShown(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t)
	r := (&relay{tls: server}).start(t)
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
