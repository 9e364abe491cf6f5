package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

// A secret is hidden wherever a receipt's request would show it, also in what a template made of an event that quotes
// it.
func TestS50_SecretsInWhatTemplatesMakeAreHidden(t *testing.T) {
	t.Parallel()
	const key = "K3Y-V4LUE-1"
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{
		URL:  target,
		Body: webhook.TemplateBody(compile(t, template.JSON, `{"why":"{{data.justification}}"}`)),
		Headers: []webhook.Header{
			{Name: "X-Key", Secret: secret.Literal(key)},
			{Name: "X-Why", Template: compile(t, template.Header, "because {{data.justification}}")},
		},
	})
	receipt, err := hook.Send(t.Context(), justified(t, "the key is "+key))
	require.NoError(t, err)
	got := <-requests
	assert.Equal(t, "because the key is "+key, got.header.Get("X-Why"), "the receiver gets what was said")
	assert.Equal(t, "because the key is "+secret.Redacted, receipt.Request.Header.Get("X-Why"))
	assert.JSONEq(t, `{"why":"the key is `+secret.Redacted+`"}`, string(receipt.Request.Body))
}

// The error page of a receiver quotes values as HTML.
func TestS50_ErrorPagesDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	const key = `K3Y<"V4LUE">&'1'`
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<p>bad key &laquo;%s&raquo;</p>", html.EscapeString(r.Header.Get("X-Key")))
	})
	receipt, err := newChannel(t, webhook.Config{URL: target, Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(key)}}}).Send(t.Context(), sample())
	require.Error(t, err)
	assert.Equal(t, "<p>bad key &laquo;"+secret.Redacted+"&raquo;</p>", string(receipt.Response.Body))
}

// What is compressed cannot be searched, so it is not kept, however its encoding is announced.
func TestS31_S50_EncodedAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	for _, encodings := range [][]string{{"gzip"}, {"identity", "gzip"}, {"", "br"}, {"identity, gzip"}} {
		target := answerWith(t, http.StatusOK, http.Header{"Content-Encoding": encodings}, "as if it were compressed")
		receipt, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), sample())
		require.NoError(t, err)
		assert.Empty(t, receipt.Response.Body, encodings)
		assert.True(t, receipt.Response.Truncated)
	}
	for _, encodings := range [][]string{nil, {"identity"}, {"Identity", ""}} {
		target := answerWith(t, http.StatusOK, http.Header{"Content-Encoding": encodings}, "plain")
		receipt, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), sample())
		require.NoError(t, err)
		assert.Equal(t, "plain", string(receipt.Response.Body), encodings)
	}
}

// A function that makes bodies may quote a secret in its error, also around the error of a template it uses.
func TestS49_ErrorsOfBodyFuncsHoldNoSecret(t *testing.T) {
	t.Parallel()
	const key = "K3Y-V4LUE-1"
	narrow, err := template.Compile("{{data.justification}}", template.Options{Mode: template.Text, Limits: template.Limits{Output: 1}})
	require.NoError(t, err)
	for name, inner := range map[string]func(d channel.Delivery) error{
		"its own": func(channel.Delivery) error { return errors.New("no channel") },
		"a template's": func(d channel.Delivery) error {
			_, err := narrow.Render(context.Background(), nil, d.Event.Decoded())
			return err
		},
	} {
		hook := newChannel(t, webhook.Config{URL: "http://127.0.0.1:1", Body: webhook.BodyFunc("", func(d channel.Delivery, secrets []string) ([]byte, error) {
			return nil, fmt.Errorf("with %s: %w", secrets[0], inner(d))
		}, secret.Literal(key))})
		_, err := hook.Send(t.Context(), justified(t, "text"))
		assert.Equal(t, webhook.KindRender, failure(t, err).Kind, name)
		for e := err; e != nil; e = errors.Unwrap(e) {
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), key, name)
		}
	}
}

func TestS22_LocationIsShownWithoutPath(t *testing.T) {
	t.Parallel()
	called, err := url.Parse("https://hooks.example.com/services/s3cret")
	require.NoError(t, err)
	for location, want := range map[string]string{
		"https://u:p@evil.example:8443/x?token=s3cret": "https://evil.example:8443", "/login?s3cret": "https://hooks.example.com",
		"//other.example/x": "https://other.example", "": "", "https://exa mple/": "", "%zz": "", "mailto:s3cret@example.com": "",
	} {
		assert.Equal(t, want, webhook.LocationOrigin(called, location), location)
	}
	assert.Empty(t, webhook.LocationOrigin(nil, "https://a/"))
	assert.Empty(t, netguard.Origin(nil))
}

// Whoever tests a template sees what it made, also when that is no JSON; the error and what is printed of it hold none
// of the event's data.
func TestTextThatIsNoJSONIsInTheReceipt(t *testing.T) {
	t.Parallel()
	const key = "not-a-real-key-0123456789"
	hook := newChannel(t, webhook.Config{
		URL: "http://127.0.0.1:1/hook", Body: webhook.TemplateBody(compile(t, template.JSON, `{"why": "{{data.justification}}"{{#if event_type}},{{/if}} }`)),
		Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(key)}},
	})
	receipt, err := hook.Send(t.Context(), justified(t, "Priya says "+key))
	require.Equal(t, webhook.KindRender, failure(t, err).Kind)
	require.NotNil(t, receipt.Request)
	assert.Contains(t, string(receipt.Request.Body), `{"why": "Priya says [redacted]",`)
	invalid, ok := errors.AsType[*template.JSONError](err)
	require.True(t, ok)
	assert.Contains(t, invalid.Text(), "Priya")
	for _, printed := range []string{err.Error(), fmt.Sprintf("%+v %#v", invalid, invalid), fmt.Sprintf("%+v", err)} {
		assert.NotContains(t, printed, "Priya")
	}
}

// The request is shown although nobody could be connected to.
func TestRequestIsInTheReceiptWithoutAConnection(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	hook := newChannel(t, webhook.Config{URL: "http://" + l.Addr().String() + "/hook"})
	receipt, err := hook.Send(t.Context(), sample())
	require.Equal(t, netguard.KindConnect, failure(t, err).Kind)
	require.NotNil(t, receipt.Request)
	assert.JSONEq(t, string(sample().Event.JSON()), string(receipt.Request.Body))
	assert.Nil(t, receipt.Response)
}
