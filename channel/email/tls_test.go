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
			assert.Equal(t, retry.Result{Verdict: retry.Transient, Delay: tt.delay}, retry.Classify(t.Context(), err))
			assert.Nil(t, receipt.Request)
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
