package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// received is what a receiver saw of a request.
type received struct {
	method, uri, host, body string
	header                  http.Header
	length                  int64
}

// record starts a receiver that takes everything and passes on what it got.
func record(t *testing.T) (string, <-chan received) {
	t.Helper()
	requests := make(chan received, 16)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		requests <- received{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.ContentLength}
		w.Header().Set("X-Request-Id", "r-17")
		_, _ = w.Write([]byte(`{"ok":true}`))
	}), requests
}

func TestS27_S50_SendPostsTheEvent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{
		URL:     target + "/hooks/T0P-S3CRET?sig=S1GNATURE",
		Headers: []webhook.Header{{Name: "x-team", Value: " pam "}, {Name: "X-Key", Secret: secret.Literal("K3Y-V4LUE")}},
		Auth:    webhook.Token(secret.Literal("Bearer T0KEN-V4LUE")),
	})
	d := sample()
	receipt, err := hook.Send(t.Context(), d)
	require.NoError(t, err)

	got := <-requests
	assert.Equal(t, http.MethodPost, got.method)
	assert.Equal(t, "/hooks/T0P-S3CRET?sig=S1GNATURE", got.uri)
	assert.Equal(t, string(d.Event.JSON()), got.body)
	assert.Equal(t, int64(len(got.body)), got.length)
	assert.Equal(t, http.Header{
		"Accept-Encoding": {"identity"},
		"Authorization":   {"Bearer T0KEN-V4LUE"},
		"Content-Length":  {got.header.Get("Content-Length")},
		"Content-Type":    {"application/json"},
		"User-Agent":      {netguard.DefaultUserAgent},
		"Webhook-Id":      {d.ID()},
		"X-Key":           {"K3Y-V4LUE"},
		"X-Team":          {"pam"},
	}, got.header)

	assert.Equal(t, 200, receipt.Status)
	assert.Positive(t, receipt.Duration)
	assert.False(t, receipt.OutcomeUnknown)
	assert.False(t, receipt.Skipped)
	assert.Equal(t, "POST "+target, receipt.Request.Start, "the path is a secret")
	assert.Equal(t, http.Header{
		"Accept-Encoding": {"identity"},
		"Authorization":   {secret.Redacted},
		"Content-Type":    {"application/json"},
		"User-Agent":      {netguard.DefaultUserAgent},
		"Webhook-Id":      {d.ID()},
		"X-Key":           {secret.Redacted},
		"X-Team":          {"pam"},
	}, receipt.Request.Header)
	assert.Same(t, &d.Event.JSON()[0], &receipt.Request.Body[0], "the body is not copied")
	assert.False(t, receipt.Request.Truncated)
	assert.Equal(t, "200 OK", receipt.Response.Start)
	assert.Equal(t, "r-17", receipt.Response.Header.Get("X-Request-Id"))
	assert.JSONEq(t, `{"ok":true}`, string(receipt.Response.Body))
	assert.False(t, receipt.Response.Truncated)
}

func TestS23_SendUsesTheMethod(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		_, err := newChannel(t, webhook.Config{URL: target, Method: method}).Send(t.Context(), sample())
		require.NoError(t, err)
		got := <-requests
		assert.Equal(t, method, got.method)
		assert.Equal(t, string(sample().Event.JSON()), got.body)
	}
}

func TestS25_SendAuthenticates(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for name, tc := range map[string]struct {
		config webhook.Config
		want   string
	}{
		"none":                    {webhook.Config{}, ""},
		"basic":                   {webhook.Config{Auth: webhook.Basic("me", secret.Literal("p:w é"))}, "Basic " + base64.StdEncoding.EncodeToString([]byte("me:p:w é"))},
		"token, verbatim":         {webhook.Config{Auth: webhook.Token(secret.Literal("GenieKey a-b-c"))}, "GenieKey a-b-c"},
		"header of the user's":    {webhook.Config{Headers: []webhook.Header{{Name: "authorization", Value: "Own 1"}}}, "Own 1"},
		"user agent of the users": {webhook.Config{Headers: []webhook.Header{{Name: "user-agent", Value: "pam/3"}}}, ""},
	} {
		tc.config.URL = target
		receipt, err := newChannel(t, tc.config).Send(t.Context(), sample())
		require.NoError(t, err)
		got := <-requests
		assert.Equal(t, tc.want, got.header.Get("Authorization"), name)
		if tc.want != "" {
			assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Authorization"), name)
		}
		if name == "user agent of the users" {
			assert.Equal(t, "pam/3", got.header.Get("User-Agent"))
		}
	}
}

func TestSendJudgesTheStatus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config webhook.Config
		status int
		want   retry.Verdict
	}{
		"200":                  {webhook.Config{}, 200, retry.VerdictSuccess},
		"202":                  {webhook.Config{}, 202, retry.VerdictSuccess},
		"299":                  {webhook.Config{}, 299, retry.VerdictSuccess},
		"429":                  {webhook.Config{}, 429, retry.VerdictTransient},
		"200 only, 200":        {webhook.Config{Success: []int{200}}, 200, retry.VerdictSuccess},
		"200 only, 202":        {webhook.Config{Success: []int{200}}, 202, retry.VerdictTransient},
		"409 is a success":     {webhook.Config{Success: []int{200, 409}}, 409, retry.VerdictSuccess},
		"all but success, 202": {webhook.Config{Success: []int{200}, Verdicts: webhook.RetryAllButSuccess}, 202, retry.VerdictTransient},
		"all but success, 302": {webhook.Config{Verdicts: webhook.RetryAllButSuccess}, 302, retry.VerdictTransient},
		"all but success, 410": {webhook.Config{Verdicts: webhook.RetryAllButSuccess}, 410, retry.VerdictTransient},
		"read as gone, 404": {webhook.Config{Interpret: func(webhook.Response, retry.Verdict) webhook.Reading {
			return webhook.Reading{Verdict: retry.VerdictPermanent, Gone: true}
		}}, 404, retry.VerdictPermanent},
		"own table, unknown verdict":  {webhook.Config{Verdicts: func(int) retry.Verdict { return 99 }}, 503, retry.VerdictPermanent},
		"own table does not see 2xx":  {webhook.Config{Verdicts: func(int) retry.Verdict { return retry.VerdictPermanent }}, 204, retry.VerdictSuccess},
		"own table, retry on a clash": {webhook.Config{Verdicts: func(int) retry.Verdict { return retry.VerdictTransient }}, 409, retry.VerdictTransient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.config.URL = answerWith(t, tc.status, nil, "") + "/hooks/T0P-S3CRET"
			receipt, err := newChannel(t, tc.config).Send(t.Context(), sample())
			assert.Equal(t, retry.Result{Verdict: tc.want, Throttled: tc.status == 429}, retry.Classify(t.Context(), err))
			assert.Equal(t, tc.status, receipt.Status)
			assert.NotNil(t, receipt.Request)
			assert.False(t, receipt.OutcomeUnknown, "there was a response")
			if err == nil {
				return
			}
			e := failure(t, err)
			assert.Equal(t, tc.status, e.Status)
			assert.Equal(t, http.MethodPost, e.Method)
			assert.NotContains(t, err.Error(), "T0P-S3CRET")
			wantKind := webhook.KindStatus
			if tc.status < 400 && tc.status >= 300 {
				wantKind = webhook.KindRedirect
			}
			assert.Equal(t, wantKind, e.Kind)
			assert.Equal(t, name == "410" || name == "read as gone, 404", errors.Is(err, channel.ErrGone))
		})
	}
}

func TestS22_S49_ErrorText(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		503: ": answered 503 Service Unavailable",
		599: ": answered 599",
		410: ": answered 410 Gone: destination is gone",
		302: ": answered 302 Found: redirects are not followed, configure the final URL",
	} {
		target := answerWith(t, status, nil, "")
		_, err := newChannel(t, webhook.Config{URL: target + "/hooks/T0P-S3CRET", Method: "PUT"}).Send(t.Context(), sample())
		assert.EqualError(t, err, "PUT "+target+want)
	}
}

func TestS33_RetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	inTwoMinutes := time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)
	for name, tc := range map[string]struct {
		status      int
		value       string
		least, most time.Duration
	}{
		"429, seconds":         {429, "120", 2 * time.Minute, 2 * time.Minute},
		"503, fraction":        {503, "0.5", time.Second / 2, time.Second / 2},
		"503, date":            {503, inTwoMinutes, time.Minute, 2 * time.Minute},
		"500 as well":          {500, "7", 7 * time.Second, 7 * time.Second},
		"a year is a day":      {429, "31536000", 24 * time.Hour, 24 * time.Hour},
		"garbage":              {429, "soon", 0, 0},
		"400 is not put off":   {400, "120", 0, 0},
		"success is a success": {200, "120", 0, 0},
	} {
		target := answerWith(t, tc.status, http.Header{"Retry-After": {tc.value}}, "")
		_, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), sample())
		got := retry.Classify(t.Context(), err).Delay
		assert.GreaterOrEqual(t, got, tc.least, name)
		assert.LessOrEqual(t, got, tc.most, name)
	}
}

func TestS22_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere, requests := record(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for location, shown := range map[string]string{
			elsewhere + "/T0P-S3CRET?x": elsewhere,
			"/T0P-S3CRET":               "",
			"//other.example/x":         "http://other.example",
			"http://%zz/T0P-S3CRET":     secret.Redacted,
		} {
			target := answerWith(t, status, http.Header{"Location": {location}}, "")
			if shown == "" {
				shown = target
			}
			receipt, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), sample())
			assert.Equal(t, webhook.KindRedirect, failure(t, err).Kind)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.Equal(t, status, receipt.Status)
			assert.Equal(t, shown, receipt.Response.Header.Get("Location"), location)
		}
	}
	assert.Empty(t, requests)
}

func TestSendWithoutAnEvent(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	receipt, err := newChannel(t, webhook.Config{URL: target}).Send(t.Context(), channel.Delivery{Route: channel.RouteID{Name: "x"}})
	assert.Equal(t, webhook.KindNoEvent, failure(t, err).Kind)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
	assert.Zero(t, receipt)
	assert.Empty(t, requests)
}

func TestS49_ErrorsHideTheNetworksOwn(t *testing.T) {
	t.Parallel()
	refused := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) { conn.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	for _, target := range []string{refused, nobody} {
		hook := newChannel(t, webhook.Config{URL: target + "/T0P-S3CRET?q=T0P-S3CRET"})
		_, err := hook.Send(t.Context(), sample())
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "T0P-S3CRET")
		_, ok := errors.AsType[*url.Error](err)
		assert.False(t, ok, "*url.Error")
		_, ok = errors.AsType[*net.OpError](err)
		assert.False(t, ok, "*net.OpError")
		assert.Equal(t, target, failure(t, err).Origin)
	}
}

func TestS50_WhatTheReceiverRepeatsIsHidden(t *testing.T) {
	t.Parallel()
	const path, query, key, password = "/hooks/T0P-S3CRET", "sig=S1GN%2BATURE", "K3Y-V4LUE", "P4SS-W0RD"
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.RequestURI+" "+r.Header.Get("Authorization"))
		w.Header().Set("Set-Cookie", "session=C00KIE-V4LUE")
		w.WriteHeader(http.StatusBadRequest)
		user, pass, _ := r.BasicAuth()
		_, _ = io.WriteString(w, r.URL.Path+"|"+r.URL.RawQuery+"|"+r.URL.Query().Get("sig")+"|"+r.Header.Get("X-Key")+"|"+
			user+"|"+pass+"|"+r.Header.Get("Authorization")+"|end")
	})
	hook := newChannel(t, webhook.Config{
		URL:     target + path + "?" + query,
		Headers: []webhook.Header{{Name: "X-Key", Secret: secret.Literal(key)}, {Name: "Cookie", Value: "C00KIE-V4LUE"}},
		Auth:    webhook.Basic("somebody", secret.Literal(password)),
	})
	receipt, err := hook.Send(t.Context(), sample())
	require.Error(t, err)
	const gone = secret.Redacted
	basic := base64.StdEncoding.EncodeToString([]byte("somebody:"))[:11] // the user is no secret, and what encodes only that stays
	assert.Equal(t, gone+"|"+gone+"|"+gone+"|"+gone+"|somebody|"+gone+"|Basic "+basic+gone+"|end", string(receipt.Response.Body))
	assert.Equal(t, gone+" Basic "+basic+gone, receipt.Response.Header.Get("X-Echo"))
	assert.Equal(t, secret.Redacted, receipt.Response.Header.Get("Set-Cookie"))
	assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Cookie"))
}

func TestS50_ASecretThatIsCutOffIsHidden(t *testing.T) {
	t.Parallel()
	target := answerWith(t, 400, nil, "got T0KEN-V4LUE-AND-MORE, which is wrong")
	hook := newChannel(t, webhook.Config{URL: target, Auth: webhook.Token(secret.Literal("T0KEN-V4LUE-AND-MORE")), MaxResponse: 16})
	receipt, err := hook.Send(t.Context(), sample())
	require.Error(t, err)
	assert.Equal(t, "got "+secret.Redacted, string(receipt.Response.Body))
	assert.True(t, receipt.Response.Truncated)
}
