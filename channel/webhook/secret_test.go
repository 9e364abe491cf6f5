package webhook_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestS48_EverySourceIsAskedPerAttempt(t *testing.T) {
	t.Setenv("TOCSIN_TEST_WEBHOOK_TOKEN", "Bearer from-the-environment")
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("from-a-file\n"), 0o600))
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{
		URL:     target + "/hooks/{id}?sig={sig}",
		Masks:   []secret.Mask{{Replacement: "{id}", Value: secret.Literal("T1/B%2B")}, {Replacement: "{sig}", Value: secret.Env("TOCSIN_TEST_WEBHOOK_TOKEN_2")}},
		Headers: []webhook.Header{{Name: "x-key", Secret: secret.File(file)}},
		Auth:    webhook.Token(secret.Env("TOCSIN_TEST_WEBHOOK_TOKEN")),
	})
	receipt, err := hook.Send(t.Context(), sample())
	assert.Equal(t, webhook.KindSecret, failure(t, err).Kind)
	assert.EqualError(t, err, "POST "+target+": a credential is not available: secret from env TOCSIN_TEST_WEBHOOK_TOKEN_2 is not set")
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
	shown(t, receipt)
	assert.Equal(t, "POST "+target+"/hooks/{id}?sig={sig}", receipt.Request.Start)
	assert.Empty(t, receipt.Request.Body, "there were no credentials for it")
	assert.Empty(t, requests, "nothing was sent")

	t.Setenv("TOCSIN_TEST_WEBHOOK_TOKEN_2", "abcdefgh12")
	receipt, err = hook.Send(t.Context(), sample())
	require.NoError(t, err)
	got := <-requests
	assert.Equal(t, "/hooks/T1/B%2B?sig=abcdefgh12", got.uri)
	assert.Equal(t, "Bearer from-the-environment", got.header.Get("Authorization"))
	assert.Equal(t, "from-a-file", got.header.Get("X-Key"))
	assert.Equal(t, "POST "+target+"/hooks/{id}?sig={sig}", receipt.Request.Start, "S51: the URL shown has the replacements")
	assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("X-Key"))
	assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Authorization"))
}

// A value that has changed is used and hidden from then on, and the one before it stays hidden.
func TestS48_AChangedValueIsUsedAndHidden(t *testing.T) {
	t.Parallel()
	var version atomic.Int64
	value := secret.Func("vault", func(context.Context) ([]byte, error) {
		return fmt.Appendf(nil, "t0ken-number-%d", version.Load()), nil
	})
	var sent atomic.Pointer[string]
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-Key")
		sent.Store(&key)
		w.Header().Set("Connection", "close") // or fake time would wait for the connection
		_, _ = io.WriteString(w, key+" t0ken-number-0 t0ken-number-1")
	})
	synctest.Test(t, func(t *testing.T) { // for the clock of the cache
		hook := newChannel(t, webhook.Config{URL: target, Headers: []webhook.Header{{Name: "X-Key", Secret: value}}})
		const gone = secret.Redacted
		for n, shown := range []string{gone + " " + gone + " t0ken-number-1", gone + " " + gone + " " + gone, gone + " t0ken-number-0 " + gone} {
			version.Store(int64(n))
			receipt, err := hook.Send(t.Context(), sample())
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("t0ken-number-%d", n), *sent.Load())
			assert.Equal(t, shown, string(receipt.Response.Body))
			<-time.After(61 * time.Second)
		}
	})
}

func TestS48_ASourceThatFailsOrHangs(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for name, tc := range map[string]struct {
		source func(context.Context) ([]byte, error)
		says   string
		kind   webhook.Kind
	}{
		"error":     {func(context.Context) ([]byte, error) { return nil, errors.New("denied for T0P-S3CRET") }, "secret from func vault failed", webhook.KindSecret},
		"panic":     {func(context.Context) ([]byte, error) { panic("T0P-S3CRET") }, "secret from func vault panicked", webhook.KindSecret},
		"line feed": {func(context.Context) ([]byte, error) { return []byte("T0P-S3CRET\nX: y"), nil }, "secret from func vault holds a character that is not printable ASCII", webhook.KindSecret},
		"empty":     {func(context.Context) ([]byte, error) { return nil, nil }, "secret from func vault is empty", webhook.KindSecret},
		"hanging": {func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "no response within the total time", "total_timeout"},
	} {
		value := secret.Func("vault", tc.source)
		for place, config := range map[string]webhook.Config{
			"header": {Headers: []webhook.Header{{Name: "X-Key", Secret: value}}},
			"token":  {Auth: webhook.Token(value)},
		} {
			config.URL = target
			ctx, cancel := context.WithTimeout(t.Context(), short)
			receipt, err := newChannel(t, config).Send(ctx, sample())
			cancel()
			assert.Equal(t, tc.kind, failure(t, err).Kind, "%s, %s", name, place)
			assert.ErrorContains(t, err, "POST "+target+": ", name)
			assert.ErrorContains(t, err, tc.says, "%s, %s", name, place)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), "T0P-S3CRET", name)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, name)
			shown(t, receipt)
		}
	}
	bad := secret.Func("vault", func(context.Context) ([]byte, error) { return []byte("T0P S3CRET"), nil })
	_, err := newChannel(t, webhook.Config{URL: target + "/{x}", Masks: []secret.Mask{{Replacement: "{x}", Value: bad}}}).Send(t.Context(), sample())
	assert.EqualError(t, err, "POST "+target+": a credential is not available: secret from func vault makes a URL that is not valid")
	assert.Empty(t, requests)
}

// A receiver that repeats what it was sent, in whatever form, does not get a secret into the receipt.
func TestS50_S51_SecretsAreHiddenInEveryEncoding(t *testing.T) {
	t.Parallel()
	const mask, key, password, plain = "M4SK+V4LUE/1", `K3Y "V4LUE" <1>`, "P4SS W0RD&1", "K3Y-V4LUE-2"
	forms := func(s string) []string {
		quoted, err := json.Marshal(s)
		assert.NoError(t, err)
		twice, err := json.Marshal(string(quoted))
		assert.NoError(t, err)
		return []string{
			s, url.QueryEscape(s), url.PathEscape(s), string(quoted), string(twice), hex.EncodeToString([]byte(s)),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte("x" + s)), base64.StdEncoding.EncodeToString([]byte("xy" + s)),
		}
	}
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Echo", url.QueryEscape(key))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, "%s\n%v\n%s\n", r.RequestURI, r.Header, body)
		for _, s := range []string{mask, key, password, plain} {
			for _, form := range forms(s) {
				_, _ = fmt.Fprintln(w, form)
			}
		}
	})
	hook := newChannel(t, webhook.Config{
		URL:   target + "/shown/{m}",
		Masks: []secret.Mask{{Replacement: "{m}", Value: secret.Literal(url.PathEscape(mask))}},
		Headers: []webhook.Header{
			{Name: "X-Key", Secret: secret.Literal(key)}, {Name: "Cookie", Value: plain}, {Name: "X-Debug", Value: "the cookie is " + plain},
		},
		Auth: webhook.Basic("somebody", secret.Literal(password)),
	})
	d := sample()
	approved, err := event.Decode[event.RequestApproved](d.Event)
	require.NoError(t, err)
	approved.Justification = "my password is " + password + " and the key " + key
	d.Event = event.Must(approved, event.Meta{})
	receipt, err := hook.Send(t.Context(), d)
	require.Error(t, err)
	answered := err.Error() + fmt.Sprintf("%s %v %s", receipt.Response.Start, receipt.Response.Header, receipt.Response.Body)
	requested := fmt.Sprintf("%s %v %s", receipt.Request.Start, receipt.Request.Header, receipt.Request.Body)
	for _, s := range []string{mask, key, password, plain} {
		for _, form := range forms(s) {
			assert.NotContains(t, answered, form)
			if s != plain {
				assert.NotContains(t, requested, form)
			}
		}
	}
	assert.Contains(t, string(receipt.Request.Body), "my password is "+secret.Redacted)
	assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Cookie"))
	assert.Equal(t, "the cookie is "+plain, receipt.Request.Header.Get("X-Debug"), "whoever wrote it there wrote it openly")
	assert.Contains(t, string(receipt.Response.Body), "/shown/"+secret.Redacted)
}
