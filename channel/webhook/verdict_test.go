package webhook_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Only what is about the request as such ends it: a receiver that is being deployed may answer anything else.
func TestOnlyAnswersAboutTheRequestArePermanent(t *testing.T) {
	t.Parallel()
	permanent := []int{400, 405, 406, 411, 413, 414, 415, 417, 422, 426, 431, 501, 505}
	for status := 200; status <= 599; status++ {
		want, byServerErrors := retry.VerdictTransient, retry.VerdictPermanent
		switch {
		case slices.Contains(permanent, status), status == 410:
			want = retry.VerdictPermanent
		}
		switch {
		case status == 408, status == 429, status >= 500:
			byServerErrors = retry.VerdictTransient
		}
		assert.Equal(t, want, webhook.DefaultVerdicts(status), status)
		assert.Equal(t, byServerErrors, webhook.RetryServerErrors(status), status)
		assert.Equal(t, retry.VerdictTransient, webhook.RetryAllButSuccess(status), status)
	}
	for status, want := range map[int]retry.Verdict{
		301: retry.VerdictTransient, 307: retry.VerdictTransient, 401: retry.VerdictTransient, 403: retry.VerdictTransient, 404: retry.VerdictTransient,
		409: retry.VerdictTransient, 423: retry.VerdictTransient, 451: retry.VerdictTransient, 422: retry.VerdictPermanent, 501: retry.VerdictPermanent,
	} {
		_, err := newChannel(t, webhook.Config{URL: answerWith(t, status, nil, "")}).Send(t.Context(), sample())
		assert.Equal(t, want, retry.Classify(t.Context(), err).Verdict, status)
	}
}

// What a receiver says about itself is for every delivery, what it says about a request for that one.
func TestAPauseIsTheDestinationsOrTheDeliverys(t *testing.T) {
	t.Parallel()
	minute := http.Header{"Retry-After": {"60"}}
	for name, tc := range map[string]struct {
		status    int
		header    http.Header
		rateLimit webhook.RateLimit
		want      retry.Result
	}{
		"429":                      {429, nil, 0, retry.Result{Verdict: retry.VerdictTransient, Throttled: true}},
		"429 with a time":          {429, minute, 0, retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute, Throttled: true}},
		"429 with X-RateLimit":     {429, http.Header{"X-Ratelimit-Reset": {"90"}}, webhook.ResetInSeconds, retry.Result{Verdict: retry.VerdictTransient, Delay: 90 * time.Second, Throttled: true}},
		"429 with another form":    {429, http.Header{"X-Ratelimit-Reset": {"9999-12-31T23:59:59Z"}}, webhook.ResetAtISO8601, retry.Result{Verdict: retry.VerdictTransient, Delay: 24 * time.Hour, Throttled: true}},
		"503":                      {503, nil, 0, retry.Result{Verdict: retry.VerdictTransient}},
		"503 with a time":          {503, minute, 0, retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute, Throttled: true}},
		"500 with a time":          {500, minute, 0, retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute}},
		"409 with a time":          {409, minute, 0, retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute}},
		"400 with a time":          {400, minute, 0, retry.Result{Verdict: retry.VerdictPermanent}},
		"more than a number holds": {503, http.Header{"Retry-After": {"9999999999"}}, 0, retry.Result{Verdict: retry.VerdictTransient, Delay: 24 * time.Hour, Throttled: true}},
	} {
		hook := newChannel(t, webhook.Config{URL: answerWith(t, tc.status, tc.header, ""), RateLimit: tc.rateLimit})
		_, err := hook.Send(t.Context(), sample())
		assert.Equal(t, tc.want, retry.Classify(t.Context(), err), name)
	}
}

// A refused credential is asked for again with the next attempt: it may have been rotated since it was read.
func TestARefusedCredentialIsAskedForAgain(t *testing.T) {
	for status, again := range map[int]bool{401: true, 403: true, 404: false, 500: false, 407: true} {
		seen := make(chan string, 2)
		target := serve(t, func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header.Get("Authorization") + " " + r.Header.Get("X-Key") + " " + r.RequestURI
			w.WriteHeader(status)
		})
		names := []string{"TOCSIN_TEST_TOKEN", "TOCSIN_TEST_KEY", "TOCSIN_TEST_MASK"}
		for _, name := range names {
			t.Setenv(name, "first-value")
		}
		hook := newChannel(t, webhook.Config{
			URL: target + "/{m}", Masks: []secret.Mask{{Replacement: "{m}", Value: secret.Env(names[2])}},
			Auth: webhook.Scheme("Bearer", secret.Env(names[0])), Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Env(names[1])}},
		})
		_, err := hook.Send(t.Context(), sample())
		require.Error(t, err)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, status)
		assert.Equal(t, "Bearer first-value first-value /first-value", <-seen)
		for _, name := range names {
			t.Setenv(name, "other-value")
		}
		_, err = hook.Send(t.Context(), sample())
		require.Error(t, err)
		if again {
			assert.Equal(t, "Bearer other-value other-value /other-value", <-seen, status)
		} else {
			assert.Equal(t, "Bearer first-value first-value /first-value", <-seen, status)
		}
	}
}

// A proxy that wants another password is a matter of the same kind, and seen only by the HTTP client.
func TestARefusedProxyPasswordIsAskedForAgain(t *testing.T) {
	seen := make(chan string, 2)
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Proxy-Authorization")
		w.WriteHeader(http.StatusProxyAuthRequired)
	})
	t.Setenv("TOCSIN_TEST_PROXY", "first-value")
	hook := newChannel(t, webhook.Config{URL: "http://receiver.test/", Proxy: &netguard.Proxy{
		URL: target, User: "us", Password: secret.Env("TOCSIN_TEST_PROXY"), Profile: netguard.Profile{Loopback: true},
	}})
	_, err := hook.Send(t.Context(), sample())
	assert.Equal(t, netguard.KindProxy, failure(t, err).Kind)
	first := <-seen
	t.Setenv("TOCSIN_TEST_PROXY", "other-value")
	_, err = hook.Send(t.Context(), sample())
	require.Error(t, err)
	assert.NotEqual(t, first, <-seen)
}

// "Answered 200 OK" alone is no reason.
func TestA2xxThatIsNoSuccessSaysWhatWouldBe(t *testing.T) {
	t.Parallel()
	refuse := func(webhook.Response, retry.Verdict) webhook.Reading {
		return webhook.Reading{Verdict: retry.VerdictPermanent}
	}
	for says, c := range map[string]webhook.Config{
		"answered 200 OK: only 201 counts as a success here":         {Success: []int{201}},
		"answered 200 OK: only 201 and 202 counts as a success here": {Success: []int{201, 202}},
		"answered 200 OK: what it says is a refusal":                 {Interpret: refuse},
	} {
		c.URL = answerWith(t, 200, nil, "")
		_, err := newChannel(t, c).Send(t.Context(), sample())
		assert.ErrorContains(t, err, says)
	}
}
