package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// keyed makes a body with the secrets in it.
func keyed(d channel.Delivery, secrets []string) ([]byte, error) {
	return json.Marshal(map[string]any{"keys": secrets, "about": d.Event.Subject(), "attempt": d.Attempt})
}

func TestBodyFunc(t *testing.T) {
	t.Parallel()
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.Header.Get("Content-Type"), body)
	})
	hook := newChannel(t, webhook.Config{
		URL:  target,
		Body: webhook.BodyFunc("application/x-keyed+json", keyed, secret.Literal("ROUT1NG-K3Y"), secret.Literal(`S3C"ND-K3Y`)),
	})
	d := sample()
	d.Attempt = 3
	receipt, err := hook.Send(t.Context(), d)
	require.NoError(t, err)
	shown := `{"about":"` + d.Event.Subject() + `","attempt":3,"keys":["` + secret.Redacted + `","` + secret.Redacted + `"]}`
	assert.Equal(t, shown, string(receipt.Request.Body))
	assert.Equal(t, "application/x-keyed+json", receipt.Request.Header.Get("Content-Type"))
	assert.Equal(t, "application/x-keyed+json "+shown, string(receipt.Response.Body), "what the receiver repeats is hidden too")
}

// The key in a body is read anew with every attempt (S48), and an attempt without it is not made.
func TestS48_BodySecretIsAskedPerAttempt(t *testing.T) {
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.BodyFunc("", keyed, secret.Env("TOCSIN_TEST_ROUTING_KEY"))})
	for value, says := range map[string]string{
		"":        "secret from env TOCSIN_TEST_ROUTING_KEY is empty",
		"T0P-S3C": "secret from env TOCSIN_TEST_ROUTING_KEY is shorter than 8 characters, so that receipts could show it",
	} {
		t.Setenv("TOCSIN_TEST_ROUTING_KEY", value)
		hook := newChannel(t, webhook.Config{URL: target, Body: webhook.BodyFunc("", keyed, secret.Env("TOCSIN_TEST_ROUTING_KEY"))})
		receipt, err := hook.Send(t.Context(), sample())
		assert.Equal(t, webhook.KindSecret, failure(t, err).Kind)
		assert.EqualError(t, err, "POST "+target+": a credential is not available: "+says)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
		shown(t, receipt)
		assert.Empty(t, requests)
	}
	t.Setenv("TOCSIN_TEST_ROUTING_KEY", "ROUT1NG-K3Y")
	_, err := hook.Send(t.Context(), sample())
	require.NoError(t, err)
	got := <-requests
	assert.Contains(t, got.body, `"keys":["ROUT1NG-K3Y"]`)
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
}

func TestBodyFuncThatFails(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for says, f := range map[string]func(channel.Delivery, []string) ([]byte, error){
		"Body: there is nobody to page for " + secret.Redacted + "  now": func(_ channel.Delivery, secrets []string) ([]byte, error) {
			return nil, fmt.Errorf("there is nobody to page for %s\r\nnow", secrets[0])
		},
		"Body: what it made is not valid UTF-8": func(channel.Delivery, []string) ([]byte, error) { return []byte("\xff"), nil },
	} {
		hook := newChannel(t, webhook.Config{URL: target, Body: webhook.BodyFunc("", f, secret.Literal("T0P-S3CRET"))})
		receipt, err := hook.Send(t.Context(), sample())
		unsent(t, webhook.KindRender, requests, receipt, err)
		assert.EqualError(t, err, "POST "+target+": the request cannot be made from the event: "+says)
		assert.NoError(t, errors.Unwrap(failure(t, err)), "the error of the function cannot be reached")
	}
}

func TestNewRefusesBodies(t *testing.T) {
	t.Parallel()
	const good = "https://hooks.test"
	for name, tc := range map[string]struct {
		config      webhook.Config
		field, says string
	}{
		"nil template":  {webhook.Config{Body: webhook.TemplateBody(nil)}, "Body", "is a template that is nil"},
		"nil function":  {webhook.Config{Body: webhook.BodyFunc("", nil)}, "Body", "is a function that is nil"},
		"short secret":  {webhook.Config{Body: webhook.BodyFunc("", keyed, secret.Literal("T0P-S3C"))}, "Body.Secrets[0]", "is shorter than 8 characters"},
		"no secret":     {webhook.Config{Body: webhook.BodyFunc("", keyed, secret.Literal("12345678"), secret.Value{})}, "Body.Secrets[1]", "is missing"},
		"kept secret":   {webhook.Config{Body: webhook.BodyFunc("", keyed, secret.Kept())}, "Body.Secrets[0]", "stands for a value that was stored before"},
		"no media type": {webhook.Config{ContentType: "T0P-S3C"}, "ContentType", "is not a media type"},
		"line feed":     {webhook.Config{ContentType: "application/json; x=\"a\r\nb\""}, "ContentType", "is not a media type"},
		"charset":       {webhook.Config{ContentType: "application/json; charset=latin1"}, "ContentType", "names a charset that is not UTF-8"},
		"type of func":  {webhook.Config{Body: webhook.BodyFunc("T0P-S3C", keyed)}, "ContentType", "is not a media type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.config.URL = good
			_, err := webhook.New(tc.config)
			wrong, ok := errors.AsType[*channel.ConfigError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tc.field, wrong.Path)
			assert.Contains(t, wrong.Problem, tc.says)
			assert.NotEmpty(t, wrong.Remedy)
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, tc.config), "T0P-S3C")
		})
	}
}

// A body says what it is, however it is printed, and nothing of what it holds.
func TestBodyIsPrintedWithoutContent(t *testing.T) {
	t.Parallel()
	for says, b := range map[string]webhook.Body{
		"webhook.Body(event)":  {},
		"webhook.Body(static)": webhook.StaticBody([]byte(`"T0P-S3CRET"`)),
		"webhook.Body(func)":   webhook.BodyFunc("", keyed, secret.Literal("T0P-S3CRET")),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			assert.Equal(t, says, fmt.Sprintf(verb, b))
		}
		assert.Equal(t, says, b.LogValue().String())
	}
}
