package email_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

const credential = "correct horse battery"

// plainAuth is a relay in clear that takes any log-in with PLAIN.
var plainAuth = smtptest.Options{Mode: email.TLSNone, Auth: "PLAIN"}

func decode(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

func TestS55_LogIn(t *testing.T) {
	t.Parallel()
	password := email.Password("noc", secret.Literal(credential))
	wrong := email.Password("noc", secret.Literal("not the password"))
	token := email.OAuth("noc", secret.Literal(credential))
	for name, tt := range map[string]struct {
		offered string
		auth    email.Auth
		sent    string // the AUTH command begins with it
		kind    email.Kind
		code    int
	}{
		"PLAIN":                  {"LOGIN PLAIN", password, "AUTH PLAIN", "", 0},
		"LOGIN":                  {"CRAM-MD5 LOGIN", password, "AUTH LOGIN", "", 0},
		"XOAUTH2":                {"PLAIN XOAUTH2", token, "AUTH XOAUTH2", "", 0},
		"lower case":             {"plain", password, "AUTH PLAIN", "", 0},
		"PLAIN, wrong":           {"PLAIN", wrong, "AUTH PLAIN", email.KindReply, 535},
		"LOGIN, wrong":           {"LOGIN", wrong, "AUTH LOGIN", email.KindReply, 535},
		"XOAUTH2, wrong":         {"XOAUTH2", email.OAuth("noc", secret.Literal("expired token")), "AUTH XOAUTH2", email.KindReply, 535},
		"nothing offered":        {"", password, "", email.KindNoAuth, 0},
		"nothing of ours":        {"CRAM-MD5 NTLM", password, "", email.KindNoAuth, 0},
		"a token, PLAIN offered": {"PLAIN LOGIN", token, "", email.KindNoAuth, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, smtptest.Options{Auth: tt.offered, User: "noc", Password: credential}, nil)
			c := config(t, r)
			c.Relay.Mode, c.Relay.TLS.CAPEM, c.Relay.Auth = email.TLSRequired, r.Authority(), tt.auth
			receipt, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			if tt.sent == "" {
				assert.NotContains(t, strings.Join(r.Commands(), "\n"), "AUTH")
			} else {
				assert.Contains(t, strings.Join(r.Commands(), "\n"), tt.sent)
			}
			if tt.kind == "" {
				require.NoError(t, err)
				only(t, r)
				return
			}
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, email.StageAuth, e.Stage)
			assert.Equal(t, tt.code, e.Code)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.Zero(t, r.Count("MESSAGE"))
			assert.Equal(t, tt.code, receipt.Status)
		})
	}
}

func TestS55_NoCredentialWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]email.Auth{
		"PLAIN LOGIN": email.Password("noc", secret.Literal(credential)),
		"LOGIN":       email.Password("noc", secret.Literal(credential)),
		"XOAUTH2":     email.OAuth("noc", secret.Literal(credential)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The relay is on this very host, to which go-mail would log in, and has no TLS.
			r := start(t, smtptest.Options{Mode: email.TLSNone, Auth: name, User: "noc", Password: credential}, nil)
			c := config(t, r)
			c.Relay.Mode, c.Relay.Auth = email.TLSOpportunistic, auth
			_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			e, ok := errors.AsType[*email.Error](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, email.KindPlaintextAuth, e.Kind)
			assert.Zero(t, r.Count("AUTH"))
			assert.Zero(t, r.Count("MAIL"))

			c.Relay.AllowPlaintextAuth = true
			_, err = open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
			require.NoError(t, err)
			assert.Equal(t, 1, r.Count("AUTH"))
		})
	}
}

// A relay that repeats a log-in in its reply must not bring the credential into errors and receipts, in no encoding,
// and one too short to be searched for silences the relay.
func TestS50_RepliesThatRepeatTheCredential(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{"long": credential, "short": "s3cret"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			login := base64.StdEncoding.EncodeToString([]byte("\x00noc\x00" + password))
			r := start(t, plainAuth, answers(map[smtptest.Step]smtptest.Reply{
				"AUTH": smtptest.Reply("535-5.7.8 no\r\n535 5.7.8 " + login + " " + password + " is wrong"),
			}))
			c := config(t, r)
			c.Relay.AllowPlaintextAuth, c.Relay.Auth = true, email.Password("noc", secret.Literal(password))
			ch := open(t, c)
			receipt, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
			checked := ch.Check(t.Context())
			require.Error(t, err)
			require.Error(t, checked)
			text := fmt.Sprintf("%v %+v %#v %v %+v %s", err, err, errors.Unwrap(err), checked, *receipt.Response, receipt.Response.Body)
			assert.NotContains(t, text, password)
			assert.NotContains(t, text, login[8:])
			assert.Contains(t, text, "535 5.7.8")
			assert.Equal(t, name == "long", strings.Contains(err.Error(), "is wrong"))
		})
	}
}

func TestLogInFailsForNow(t *testing.T) {
	t.Parallel()
	r := start(t, plainAuth, answers(map[smtptest.Step]smtptest.Reply{"AUTH": "454 4.7.0 directory is down"}))
	c := config(t, r)
	c.Relay.AllowPlaintextAuth, c.Relay.Auth = true, email.Password("noc", secret.Literal(credential))
	_, err := open(t, c).Send(t.Context(), sample(event.TypeRequestPending))
	assert.ErrorContains(t, err, "directory is down")
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
}

// A password that was rotated is asked for again when the relay refuses the old one, and the mail arrives.
func TestARefusedCredentialIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, reply := range []smtptest.Reply{"535 5.7.8 bad credentials", "534 5.7.9 application password required", "530 5.7.0 log in", "538 5.7.11 encrypt"} {
		var asked atomic.Int32
		r := start(t, plainAuth, func(c smtptest.Command) smtptest.Reply {
			if c.Step == "AUTH" && strings.HasSuffix(decode(c.Line[strings.LastIndexByte(c.Line, ' ')+1:]), "password-1") {
				return reply
			}
			return ""
		})
		c := config(t, r)
		password := secret.Func("vault", func(context.Context) ([]byte, error) { return fmt.Append(nil, "password-", asked.Add(1)), nil })
		c.Relay.AllowPlaintextAuth, c.Relay.Auth = true, email.Password("noc", password)
		ch := open(t, c)
		_, err := ch.Send(t.Context(), sample(event.TypeRequestPending))
		e, ok := errors.AsType[*email.Error](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, email.StageAuth, e.Stage)
		assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
		_, err = ch.Send(t.Context(), sample(event.TypeRequestPending))
		require.NoError(t, err, "%s", reply)
		assert.EqualValues(t, 2, asked.Load())
	}
}

// A credential that changed is used at once: sessions made with the old one are closed.
func TestS48_ChangedCredential(t *testing.T) {
	t.Parallel()
	r := start(t, smtptest.Options{Mode: email.TLSNone, Auth: "XOAUTH2", User: "noc"}, nil)
	c := config(t, r)
	c.Relay.AllowPlaintextAuth, c.Relay.Auth = true, email.OAuth("noc", secret.Literal("unused"))
	ch := open(t, c)
	for _, token := range []string{"token one", "token one", "token two", "token two"} {
		require.NoError(t, email.CheckWith(t.Context(), ch, token))
	}
	var used []string
	for _, line := range r.Commands() {
		if login, ok := strings.CutPrefix(line, "AUTH XOAUTH2 "); ok {
			used = append(used, decode(login))
		}
	}
	require.Len(t, used, 2)
	assert.Contains(t, used[0], "token one")
	assert.Contains(t, used[1], "token two")
}
