package oracletest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	stripe "github.com/stripe/stripe-go/v82/webhook"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
)

const (
	newKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldKey = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	other  = "whsec_plJ3nmyCDGBKInavdOK15jsl6A3ZVXqL"
)

// verdict is what somebody's own verifier says of a request for a secret.
type verdict func(a arrival, key string) error

func verifiers() map[signature.Scheme]verdict {
	return map[signature.Scheme]verdict{
		signature.Standard: func(a arrival, key string) error {
			v, err := standardwebhooks.NewWebhook(key)
			if err != nil {
				return err
			}
			return v.Verify(a.body, a.request.Header)
		},
		signature.GitHub: func(a arrival, key string) error {
			return github.ValidateSignature(a.request.Header.Get(github.SHA256SignatureHeader), a.body, []byte(key))
		},
		signature.Stripe: func(a arrival, key string) error {
			return stripe.ValidatePayload(a.body, a.request.Header.Get("Stripe-Signature"), key)
		},
		signature.Slack: func(a arrival, key string) error {
			v, err := slack.NewSecretsVerifier(a.request.Header, key)
			if err != nil {
				return err
			}
			if _, err := v.Write(a.body); err != nil {
				return err
			}
			return v.Ensure()
		},
	}
}

func sign(s signature.Scheme, keys ...string) webhook.Signing {
	var all []webhook.SigningKey
	for _, k := range keys {
		all = append(all, webhook.SigningKey{Secret: secret.Literal(k)})
	}
	return webhook.Sign(s, all...)
}

// TestVendorsAcceptOurSignatures sends every event of the catalogue, signed in every style, to the vendor's own
// verifier, which also has to refuse what was changed and who does not know the secret.
func TestVendorsAcceptOurSignatures(t *testing.T) {
	t.Parallel()
	for s, verify := range verifiers() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			for _, typ := range event.Catalogue() {
				e, _ := event.Sample(typ)
				a := send(t, webhook.Config{Sign: sign(s, newKey)}, e)
				require.NoError(t, verify(a, newKey), typ)
				require.Error(t, verify(a, other), typ)
				a.body = append(a.body, ' ')
				require.Error(t, verify(a, newKey), typ)
			}
		})
	}
}

// TestVendorsAcceptRotatedKeys sends one request that is good for who knows either of two secrets.
func TestVendorsAcceptRotatedKeys(t *testing.T) {
	t.Parallel()
	e, _ := event.Sample(event.TypeRequestPending)
	for _, s := range []signature.Scheme{signature.Standard, signature.Stripe} {
		a := send(t, webhook.Config{Sign: sign(s, newKey, oldKey)}, e)
		verify := verifiers()[s]
		require.NoError(t, verify(a, newKey), s)
		require.NoError(t, verify(a, oldKey), s)
		require.Error(t, verify(a, other), s)
	}
}

// TestWeAcceptTheirSignatures has the vendors' own code sign random bodies.
func TestWeAcceptTheirSignatures(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(41, 46))
	standard, err := signature.NewVerifier(signature.Standard, oldKey, newKey)
	require.NoError(t, err)
	stripes, err := signature.NewVerifier(signature.Stripe, newKey)
	require.NoError(t, err)
	for range 500 {
		body := make([]byte, random.IntN(200))
		for i := range body {
			body[i] = byte(random.IntN(256))
		}
		now := time.Now()
		theirs, err := standardwebhooks.NewWebhook(newKey)
		require.NoError(t, err)
		signed, err := theirs.Sign("msg_1", now, body)
		require.NoError(t, err)
		require.NoError(t, standard.Verify(http.Header{
			"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())}, "Webhook-Signature": {signed},
		}, body))

		payload := stripe.GenerateTestSignedPayload(&stripe.UnsignedPayload{Payload: body, Secret: newKey, Timestamp: now})
		require.NoError(t, stripes.Verify(http.Header{"Stripe-Signature": {payload.Header}}, body))
	}
}

// TestStandardWebhooksAgrees compares our signatures and verdicts with the reference library's, for random secrets, ids
// and times, and for requests that were tampered with.
func TestStandardWebhooksAgrees(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(42, 44))
	accepted, refused := 0, 0
	for range 3000 {
		bytes := make([]byte, 24+random.IntN(41))
		for i := range bytes {
			bytes[i] = byte(random.IntN(256))
		}
		secretText := "whsec_" + base64.StdEncoding.EncodeToString(bytes)
		key, err := signature.NewKey(signature.Standard, secretText)
		require.NoError(t, err)
		theirs, err := standardwebhooks.NewWebhook(secretText)
		require.NoError(t, err)
		id, body := fmt.Sprintf("msg_%d", random.Uint64()), []byte(strings.Repeat("é", random.IntN(100)))
		at := time.Now().Add(time.Duration(random.IntN(800)-400) * time.Second)
		if age := time.Since(at).Abs() - 5*time.Minute; age.Abs() < 2*time.Second {
			continue // at the edge the clock decides between the two calls
		}
		timestamp, signatures := signature.Standard.Sign(id, at, body, key)
		want, err := theirs.Sign(id, at, body)
		require.NoError(t, err)
		require.Equal(t, want, signatures)

		header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signatures}}
		switch random.IntN(8) {
		case 0:
			body = append(body, 'x')
		case 1:
			header.Set("Webhook-Id", id+"0")
		case 2:
			header.Set("Webhook-Signature", strings.Replace(signatures, "v1,", "v2,", 1))
		case 3:
			header.Set("Webhook-Timestamp", timestamp+"0")
		case 4:
			header.Del([]string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}[random.IntN(3)])
		case 5:
			header.Set("Webhook-Signature", "v1a,abc "+signatures+" v2,x")
		}
		ours, err := signature.NewVerifier(signature.Standard, secretText)
		require.NoError(t, err)
		verdict := theirs.Verify(body, header) == nil
		require.Equal(t, verdict, ours.Verify(header, body) == nil, "%v", header)
		if verdict {
			accepted++
		} else {
			refused++
		}
	}
	require.Greater(t, accepted, 500)
	require.Greater(t, refused, 500)
}

// BenchmarkStandardWebhooks is the reference library beside ours, in one run: 1 KiB, one secret.
func BenchmarkStandardWebhooks(b *testing.B) {
	body, at := []byte(strings.Repeat("x", 1<<10)), time.Now()
	key, err := signature.NewKey(signature.Standard, newKey)
	require.NoError(b, err)
	theirs, err := standardwebhooks.NewWebhook(newKey)
	require.NoError(b, err)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			signature.Standard.Sign("msg_1", at, body, key)
		}
	})
	b.Run("reference library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := theirs.Sign("msg_1", at, body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
