package webhooktest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// response is what a client that shares nothing with package webhook got.
type response struct {
	status int
	header http.Header
	body   string
}

func post(ctx context.Context, url, body string, header http.Header) (response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(got)}, err
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{})
	assert.Empty(t, s.Requests())
	r, err := post(t.Context(), s.URL+"/a/%2F?q=1", "hello", http.Header{"X-Own": {"x"}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, r.status)
	assert.Empty(t, r.body)
	require.NoError(t, s.Wait(t.Context(), 1))
	got := s.Requests()[0]
	assert.Equal(t, http.MethodPost, got.Method)
	assert.Equal(t, "/a/%2F?q=1", got.URI)
	assert.Equal(t, "x", got.Header.Get("X-Own"))
	assert.Equal(t, "hello", string(got.Body))
	require.NoError(t, got.Untrusted)
	s.Requests()[0].Method = "changed"
	assert.Equal(t, http.MethodPost, s.Requests()[0].Method)
}

func TestResponses(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{})
	s.Script(webhooktest.Response{Status: http.StatusServiceUnavailable, Body: "down"}, webhooktest.Response{})
	s.Script(webhooktest.Response{RetryAfter: 1500 * time.Millisecond}, webhooktest.Response{Status: http.StatusServiceUnavailable, RetryAfter: time.Minute},
		webhooktest.Response{Header: http.Header{"X-Own": {"x"}}}, webhooktest.Response{Status: 42}, webhooktest.Response{Status: 1000}, webhooktest.Response{Drop: true})
	s.Handle(func(r webhooktest.Request) webhooktest.Response {
		return webhooktest.Response{Body: "handled " + string(r.Body)}
	})
	for i, want := range []response{
		{status: http.StatusServiceUnavailable, body: "down"},
		{status: http.StatusOK, body: "handled x"},
		{status: http.StatusTooManyRequests, header: http.Header{"Retry-After": {"2"}}},
		{status: http.StatusServiceUnavailable, header: http.Header{"Retry-After": {"60"}}},
		{status: http.StatusOK, header: http.Header{"X-Own": {"x"}}},
		{status: http.StatusInternalServerError, body: "webhooktest: 42 is no status of a response"},
		{status: http.StatusInternalServerError, body: "webhooktest: 1000 is no status of a response"},
	} {
		got, err := post(t.Context(), s.URL, "x", nil)
		require.NoError(t, err)
		assert.Equal(t, want.status, got.status, "%d", i)
		assert.Equal(t, want.body, got.body, "%d", i)
		for name, values := range want.header {
			assert.Equal(t, values, got.header[name], "%d", i)
		}
	}
	_, err := post(t.Context(), s.URL, "x", nil)
	require.Error(t, err, "dropped")
	s.Handle(nil)
	got, err := post(t.Context(), s.URL, "x", nil)
	require.NoError(t, err)
	assert.Empty(t, got.body)
	assert.Len(t, s.Requests(), 9)
}

func TestTooLargeBody(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{})
	got, err := post(t.Context(), s.URL, string(bytes.Repeat([]byte("x"), 16<<20)), nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.status)
	if got, err = post(t.Context(), s.URL, string(bytes.Repeat([]byte("x"), 16<<20+1)), nil); err == nil { // or the connection broke
		assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	}
	assert.Len(t, s.Requests(), 1)
}

// A client that gives up, and a Close, end what hangs.
func TestHang(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{})
	s.Handle(func(webhooktest.Request) webhooktest.Response { return webhooktest.Response{Hang: true} })
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 2)
	go func() { _, err := post(ctx, s.URL, "x", nil); failed <- err }()
	require.NoError(t, s.Wait(t.Context(), 1))
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	go func() { _, err := post(t.Context(), s.URL, "x", nil); failed <- err }()
	require.NoError(t, s.Wait(t.Context(), 2))
	s.Close()
	require.Error(t, <-failed)
	assert.Len(t, s.Requests(), 2, "what was received can still be read")
	s.Close()
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Wait(ctx, 0))
	err := s.Wait(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "received 0 of 1 requests: context canceled")
}

func TestManyClients(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{})
	var wg sync.WaitGroup
	const clients, each = 8, 10
	for range clients {
		wg.Go(func() {
			for range each {
				_, err := post(t.Context(), s.URL, "x", nil)
				assert.NoError(t, err)
				_ = s.Requests()
			}
		})
	}
	require.NoError(t, s.Wait(t.Context(), clients*each))
	wg.Wait()
}

const key = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

func verifier(t *testing.T) *signature.Verifier {
	t.Helper()
	v, err := signature.NewVerifier(signature.Standard, key)
	require.NoError(t, err)
	return v
}

// Config is complete, and what it sends is signed if the test says so. Without a signature nothing is accepted.
func TestSignatures(t *testing.T) {
	t.Parallel()
	s := webhooktest.Start(t, webhooktest.Options{Verifier: verifier(t)})
	s.Script(webhooktest.Response{Status: http.StatusAccepted})
	for _, sign := range []webhook.Signing{{}, webhook.Sign(signature.Standard, webhook.SigningKey{Secret: secret.Literal(key)})} {
		c := s.Config()
		c.Sign = sign
		hook, err := webhook.New(c)
		require.NoError(t, err)
		e, _ := event.Sample(event.TypeGrantRevoked)
		r, err := hook.Send(t.Context(), channel.Delivery{Event: e, Attempt: 1})
		require.NoError(t, hook.Close())
		requests := s.Requests()
		last := requests[len(requests)-1]
		if len(requests) == 1 {
			assert.Equal(t, http.StatusUnauthorized, r.Status)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			var untrusted *signature.Error
			require.ErrorAs(t, last.Untrusted, &untrusted)
			assert.Equal(t, signature.Missing, untrusted.Reason)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, http.StatusAccepted, r.Status, "the refused one used up no response")
		require.NoError(t, last.Untrusted)
		assert.Equal(t, string(e.JSON()), string(last.Body))
	}
}
