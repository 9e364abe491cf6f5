package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

const (
	newKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldKey = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// signingKey is one of a literal.
func signingKey(text string) webhook.SigningKey {
	return webhook.SigningKey{Secret: secret.Literal(text)}
}

// trusts tells whether a receiver that knows the given secrets trusts what arrived.
func trusts(t testing.TB, s signature.Scheme, got received, secrets ...string) bool {
	t.Helper()
	v, err := signature.NewVerifier(s, secrets...)
	require.NoError(t, err)
	return v.Verify(got.header, []byte(got.body)) == nil
}

// Each scheme signs each kind of body, over the bytes that arrive.
func TestS41_S46_EveryBodyIsSigned(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for _, s := range []signature.Scheme{signature.Standard, signature.GitHub, signature.Stripe, signature.Slack} {
		timestamp, signatures := s.Headers()
		for name, c := range bodies(t) {
			c.URL, c.Sign = target, webhook.Sign(s, signingKey(newKey))
			d := justified(t, `"é" \ `+name)
			receipt, err := newChannel(t, c).Send(t.Context(), d)
			require.NoError(t, err, name)
			got := <-requests
			assert.True(t, trusts(t, s, got, newKey), "%s %s", s, name)
			assert.False(t, trusts(t, s, got, oldKey), "%s %s", s, name)
			assert.Equal(t, got.header[signatures], receipt.Request.Header[signatures], "a signature is shown")
			if timestamp != "" {
				assert.Equal(t, got.header[timestamp], receipt.Request.Header[timestamp])
			}
			assert.Equal(t, d.ID(), got.header.Get("Webhook-Id"))
			got.body += " "
			assert.False(t, trusts(t, s, got, newKey), "%s %s", s, name)
		}
	}
}

func TestS44_SameIDAndANewSignatureForEachAttempt(t *testing.T) {
	t.Parallel()
	requests := make(chan http.Header, 16)
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Header
		w.Header().Set("Connection", "close") // or fake time would wait for the connection
	})
	synctest.Test(t, func(t *testing.T) {
		hook := newChannel(t, webhook.Config{URL: target, Sign: webhook.Sign(signature.Standard, signingKey(newKey))})
		d := sample()
		var seen []http.Header
		for d.Attempt = 1; d.Attempt <= 2; d.Attempt++ {
			_, err := hook.Send(t.Context(), d)
			require.NoError(t, err)
			seen = append(seen, <-requests)
			<-time.After(time.Minute)
		}
		assert.Equal(t, d.ID(), seen[0].Get("Webhook-Id"))
		assert.NotContains(t, d.ID(), ".")
		assert.Equal(t, seen[0].Get("Webhook-Id"), seen[1].Get("Webhook-Id"))
		assert.NotEqual(t, seen[0].Get("Webhook-Timestamp"), seen[1].Get("Webhook-Timestamp"))
		assert.NotEqual(t, seen[0].Get("Webhook-Signature"), seen[1].Get("Webhook-Signature"))
	})
}

// The old key is used beside the new one until its time, and then no more; without any key nothing is sent.
func TestS43_KeysEndAtTheirTime(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	now := time.Now()
	until := func(text string, at time.Time) webhook.SigningKey {
		return webhook.SigningKey{Secret: secret.Literal(text), NotAfter: at}
	}
	for name, tc := range map[string]struct {
		keys       []webhook.SigningKey
		newer, old bool
		signatures int
	}{
		"both":     {[]webhook.SigningKey{signingKey(newKey), until(oldKey, now.Add(time.Hour))}, true, true, 2},
		"old over": {[]webhook.SigningKey{signingKey(newKey), until(oldKey, now.Add(-time.Second))}, true, false, 1},
		"new over": {[]webhook.SigningKey{until(newKey, now.Add(-time.Second)), signingKey(oldKey)}, false, true, 1},
	} {
		_, err := newChannel(t, webhook.Config{URL: target, Sign: webhook.Sign(signature.Standard, tc.keys...)}).Send(t.Context(), sample())
		require.NoError(t, err, name)
		got := <-requests
		assert.Equal(t, tc.newer, trusts(t, signature.Standard, got, newKey), name)
		assert.Equal(t, tc.old, trusts(t, signature.Standard, got, oldKey), name)
		assert.Len(t, strings.Split(got.header.Get("Webhook-Signature"), " "), tc.signatures, name)
	}
	over := webhook.Sign(signature.Standard, until(newKey, now.Add(-time.Second)), until(oldKey, now.Add(-time.Hour)))
	receipt, err := newChannel(t, webhook.Config{URL: target, Sign: over}).Send(t.Context(), sample())
	assert.Equal(t, webhook.KindSecret, failure(t, err).Kind)
	assert.EqualError(t, err, "POST "+target+": a credential is not available: every key of Sign is past its NotAfter")
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	shown(t, receipt)
	assert.Empty(t, receipt.Request.Header.Get("Webhook-Signature"))
	assert.Empty(t, requests, "nothing is sent unsigned")
}

// A rotated secret is used as soon as its source has it (S48).
func TestS43_S48_ARotatedSecretIsUsed(t *testing.T) {
	t.Parallel()
	arrived := make(chan received, 1)
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		arrived <- received{header: r.Header, body: string(body)}
		w.Header().Set("Connection", "close")
	})
	current := newKey
	vault := secret.Func("vault", func(context.Context) ([]byte, error) { return []byte(current), nil })
	synctest.Test(t, func(t *testing.T) {
		hook := newChannel(t, webhook.Config{
			URL: target, Body: webhook.StaticBody([]byte("1")), Sign: webhook.Sign(signature.GitHub, webhook.SigningKey{Secret: vault}),
		})
		for _, text := range []string{newKey, oldKey} {
			current = text
			_, err := hook.Send(t.Context(), sample())
			require.NoError(t, err)
			assert.True(t, trusts(t, signature.GitHub, <-arrived, text))
			<-time.After(61 * time.Second)
		}
		current = "T0P-S3CRET"
		_, err := hook.Send(t.Context(), sample())
		assert.Equal(t, webhook.KindSecret, failure(t, err).Kind)
		assert.ErrorContains(t, err, "secret from func vault is shorter than 16 characters")
	})
}

func TestS42_NewRefusesKeys(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sign        webhook.Signing
		field, says string
	}{
		"no key":           {webhook.Sign(signature.Standard), "Sign", "has no key"},
		"no scheme":        {webhook.Sign(0, signingKey(newKey)), "Sign", "has an unknown scheme"},
		"unset key":        {webhook.Sign(signature.Standard, signingKey(newKey), webhook.SigningKey{}), "Sign[1]", "is missing"},
		"kept key":         {webhook.Sign(signature.Standard, webhook.SigningKey{Secret: secret.Kept()}), "Sign[0]", "stands for a value that was stored before"},
		"no prefix":        {webhook.Sign(signature.Standard, signingKey("T0P-S3CRET")), "Sign[0]", `does not begin with "whsec_"`},
		"short key":        {webhook.Sign(signature.Standard, signingKey("whsec_T0P-S3CRET")), "Sign[0]", "is not standard base64"},
		"short, decoded":   {webhook.Sign(signature.Standard, signingKey("whsec_T0PS3CRET000")), "Sign[0]", "is not 24 to 64 bytes long"},
		"two for GitHub":   {webhook.Sign(signature.GitHub, signingKey(newKey), signingKey(oldKey)), "Sign", "has several keys"},
		"two for Slack":    {webhook.Sign(signature.Slack, signingKey(newKey), signingKey(oldKey)), "Sign", "has several keys"},
		"short for Stripe": {webhook.Sign(signature.Stripe, signingKey("T0P-S3CRET")), "Sign[0]", "is shorter than 16 characters"},
	} {
		c := webhook.Config{URL: "https://hooks.test", Sign: tc.sign}
		_, err := webhook.New(c)
		wrong, ok := errors.AsType[*channel.ConfigError](err)
		require.True(t, ok, "%s: %v", name, err)
		assert.Equal(t, tc.field, wrong.Path, name)
		assert.Contains(t, wrong.Problem, tc.says, name)
		assert.NotContains(t, fmt.Sprintf("%v %+v %+v", err, c, c.Sign), "S3CRET", name)
	}
	assert.Empty(t, refusal(t, webhook.Config{URL: "https://hooks.test", Sign: webhook.Sign(signature.Stripe, signingKey(newKey), signingKey(oldKey))}))
}

// A header that the signature sets cannot be set beside it, and can without it.
func TestS25_SignatureHeadersAreReserved(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]signature.Scheme{
		"X-Hub-Signature-256": signature.GitHub, "stripe-signature": signature.Stripe, "X-Slack-Signature": signature.Slack,
		"x-slack-request-timestamp": signature.Slack,
	} {
		c := webhook.Config{URL: "https://hooks.test", Headers: []webhook.Header{{Name: name, Value: "forged"}}}
		assert.Empty(t, refusal(t, c), name)
		c.Sign = webhook.Sign(s, signingKey(newKey))
		assert.Equal(t, "Headers[0].Name is "+http.CanonicalHeaderKey(name)+", which the signature sets", refusal(t, c))
	}
	for _, name := range []string{"webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE"} {
		c := webhook.Config{URL: "https://hooks.test", Headers: []webhook.Header{{Name: name, Template: compile(t, template.Header, "{{id}}")}}}
		assert.Equal(t, "Headers[0].Name is a header that is set by this channel or by HTTP itself", refusal(t, c))
	}
}
