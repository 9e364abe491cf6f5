package signature_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// whsec makes a secret for Standard of n bytes.
func whsec(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xfb\xff\xbe", 30)[:n]))
}

func TestS42_Secrets(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scheme signature.Scheme
		secret string
		says   string // "" = accepted
	}{
		"24 bytes":           {signature.Standard, whsec(24), ""},
		"64 bytes":           {signature.Standard, whsec(64), ""},
		"23 bytes":           {signature.Standard, whsec(23), "is not 24 to 64 bytes long when it is decoded"},
		"65 bytes":           {signature.Standard, whsec(65), "is not 24 to 64 bytes long when it is decoded"},
		"empty":              {signature.Standard, "", `does not begin with "whsec_"`},
		"prefix alone":       {signature.Standard, "whsec_", "is not 24 to 64 bytes long when it is decoded"},
		"no prefix":          {signature.Standard, strings.TrimPrefix(whsec(24), "whsec_"), `does not begin with "whsec_"`},
		"another prefix":     {signature.Standard, "WHSEC_" + strings.TrimPrefix(whsec(24), "whsec_"), `does not begin with "whsec_"`},
		"base64 for URLs":    {signature.Standard, strings.NewReplacer("+", "-", "/", "_").Replace(whsec(24)), "is not standard base64"},
		"no padding":         {signature.Standard, strings.TrimRight(whsec(25), "="), "is not standard base64"},
		"trailing line feed": {signature.Standard, whsec(24) + "\n", "is not standard base64"},
		"inner line feed":    {signature.Standard, whsec(24)[:10] + "\n" + whsec(24)[10:], "is not standard base64"},
		"loose bits":         {signature.Standard, whsec(25)[:len(whsec(25))-3] + "x==", "is not standard base64"},
		"GitHub":             {signature.GitHub, "0123456789abcdef", ""},
		"GitHub, short":      {signature.GitHub, "0123456789abcde", "is shorter than 16 characters"},
		"Stripe":             {signature.Stripe, "whsec_0123456789abcdef", ""},
		"Stripe, empty":      {signature.Stripe, "", "is shorter than 16 characters"},
		"Slack":              {signature.Slack, strings.Repeat("x", 200), ""},
		"no scheme":          {0, "0123456789abcdef", "is for a scheme that is not one of the constants"},
		"unknown scheme":     {signature.Slack + 1, "0123456789abcdef", "is for a scheme that is not one of the constants"},
	} {
		key, err := signature.NewKey(tc.scheme, tc.secret)
		_, verifierErr := signature.NewVerifier(tc.scheme, tc.secret)
		if tc.says == "" {
			require.NoError(t, err, name)
			require.NoError(t, verifierErr, name)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
				assert.Equal(t, "signature.Key", fmt.Sprintf(verb, key))
				assert.Equal(t, "signature.Key", fmt.Sprintf(verb, *key))
				assert.NotContains(t, fmt.Sprintf(verb, struct{ k *signature.Key }{key}), tc.secret)
				assert.NotContains(t, fmt.Sprintf(verb, struct{ k signature.Key }{*key}), tc.secret)
			}
			assert.Equal(t, "signature.Key", key.LogValue().String())
			continue
		}
		var wrong *signature.KeyError
		require.ErrorAs(t, err, &wrong, name)
		assert.Contains(t, wrong.Problem, tc.says, name)
		require.ErrorAs(t, verifierErr, &wrong, name)
		assert.Nil(t, key)
		if len(tc.secret) > 8 {
			assert.NotContains(t, err.Error(), tc.secret)
		}
	}
	_, err := signature.NewVerifier(signature.Standard)
	assert.EqualError(t, err, "signature: the secret is missing; give at least one")
	_, err = signature.NewVerifier(signature.Standard, whsec(24), whsec(23))
	assert.EqualError(t, err, "secret 2: signature: the secret is not 24 to 64 bytes long when it is decoded; make one of 24 to 64 random bytes in standard base64 behind \"whsec_\"")
	_, err = signature.NewKey(signature.Standard, "a text that is agreed on")
	assert.EqualError(t, err, `signature: the secret does not begin with "whsec_"; put "whsec_" before it if it is base64 of 24 to 64 bytes, and encode it in standard base64 first if it is not`)
}

func TestSchemes(t *testing.T) {
	t.Parallel()
	for s, want := range map[signature.Scheme][3]string{
		signature.Standard: {"Standard Webhooks", "Webhook-Timestamp", "Webhook-Signature"},
		signature.GitHub:   {"GitHub", "", "X-Hub-Signature-256"},
		signature.Stripe:   {"Stripe", "", "Stripe-Signature"},
		signature.Slack:    {"Slack", "X-Slack-Request-Timestamp", "X-Slack-Signature"},
		0:                  {"Scheme(0)", "", ""},
	} {
		timestamp, signatures := s.Headers()
		assert.Equal(t, want, [3]string{s.String(), timestamp, signatures})
		assert.Equal(t, s != 0, s.IsValid())
		assert.Equal(t, s == signature.Standard || s == signature.Stripe, s.Rotates())
	}
}
