package webhook_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// chat reads answers of a receiver that puts all it has to say into JSON, as chat products do.
func chat(a webhook.Response, verdict retry.Verdict) webhook.Reading {
	var said struct {
		OK         bool    `json:"ok"`
		Error      string  `json:"error"`
		ID         string  `json:"id"`
		RetryAfter float64 `json:"retry_after"`
	}
	if json.Unmarshal(a.Body, &said) != nil {
		return webhook.Reading{Verdict: verdict}
	}
	r := webhook.Reading{Verdict: verdict, Reason: said.Error, ProviderID: said.ID, RetryAfter: time.Duration(said.RetryAfter * float64(time.Second))}
	switch {
	case said.OK:
		r.Verdict = retry.VerdictSuccess
	case said.Error == "ratelimited":
		r.Verdict = retry.VerdictTransient
	case said.Error == "gone":
		r.Verdict, r.Gone = retry.VerdictPermanent, true
	case said.Error != "":
		r.Verdict = retry.VerdictPermanent
	}
	return r
}

func TestInterpret(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		header http.Header
		body   string
		says   string // "" = taken
		kind   webhook.Kind
		reason string
		result retry.Result
		id     string
	}{
		"taken":                 {200, nil, `{"ok":true,"id":"m-17"}`, "", "", "", retry.Result{}, "m-17"},
		"taken against status":  {409, nil, `{"ok":true,"id":"m-17"}`, "", "", "", retry.Result{}, "m-17"},
		"no id":                 {200, nil, `{"ok":true,"id":"m\u000a17"}`, "", "", "", retry.Result{}, ""},
		"long id":               {200, nil, `{"ok":true,"id":"` + strings.Repeat("x", 256) + `"}`, "", "", "", retry.Result{}, ""},
		"refused with 200":      {200, nil, `{"error":"no_channel"}`, "answered 200 OK: no_channel", webhook.KindRefused, "no_channel", retry.Result{Verdict: retry.VerdictPermanent}, ""},
		"busy with 200":         {200, nil, `{"error":"ratelimited","retry_after":1.5}`, "answered 200 OK: ratelimited", webhook.KindRefused, "ratelimited", retry.Result{Verdict: retry.VerdictTransient, Delay: 1500 * time.Millisecond, Throttled: true}, ""},
		"its own pause first":   {429, http.Header{"Retry-After": {"60"}}, `{"error":"ratelimited","retry_after":1.5}`, "answered 429 Too Many Requests: ratelimited", webhook.KindStatus, "ratelimited", retry.Result{Verdict: retry.VerdictTransient, Delay: 1500 * time.Millisecond, Throttled: true}, ""},
		"the header's pause":    {429, http.Header{"Retry-After": {"60"}}, `{"error":"ratelimited"}`, "answered 429 Too Many Requests: ratelimited", webhook.KindStatus, "ratelimited", retry.Result{Verdict: retry.VerdictTransient, Delay: time.Minute, Throttled: true}, ""},
		"a pause forever":       {429, nil, `{"error":"ratelimited","retry_after":1e9}`, "answered 429 Too Many Requests: ratelimited", webhook.KindStatus, "ratelimited", retry.Result{Verdict: retry.VerdictTransient, Delay: 24 * time.Hour, Throttled: true}, ""},
		"retry made permanent":  {503, nil, `{"error":"never"}`, "answered 503 Service Unavailable: never", webhook.KindStatus, "never", retry.Result{Verdict: retry.VerdictPermanent}, ""},
		"permanent made retry":  {403, nil, `{"error":"ratelimited"}`, "answered 403 Forbidden: ratelimited", webhook.KindStatus, "ratelimited", retry.Result{Verdict: retry.VerdictTransient}, ""},
		"status kept":           {503, nil, `<html>`, "answered 503 Service Unavailable", webhook.KindStatus, "", retry.Result{Verdict: retry.VerdictTransient}, ""},
		"redirect":              {302, nil, `{"error":"login"}`, "answered 302 Found: login: redirects are not followed, configure the final URL", webhook.KindRedirect, "login", retry.Result{Verdict: retry.VerdictPermanent}, ""},
		"reason of many lines":  {400, nil, `{"error":"a\nb\u001b[31m é"}`, "answered 400 Bad Request: a b [31m", webhook.KindStatus, "a b [31m", retry.Result{Verdict: retry.VerdictPermanent}, ""},
		"reason that is long":   {400, nil, `{"error":"` + strings.Repeat("x", 101) + `"}`, "answered 400 Bad Request: " + strings.Repeat("x", 100), webhook.KindStatus, strings.Repeat("x", 100), retry.Result{Verdict: retry.VerdictPermanent}, ""},
		"reason with a secret":  {400, nil, `{"error":"bad T0KEN-V4LUE"}`, "answered 400 Bad Request: bad " + secret.Redacted, webhook.KindStatus, "bad " + secret.Redacted, retry.Result{Verdict: retry.VerdictPermanent}, ""},
		"encoded answer's body": {200, http.Header{"Content-Encoding": {"br"}}, `{"error":"no_channel"}`, "", "", "", retry.Result{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := answerWith(t, tc.status, tc.header, tc.body)
			hook := newChannel(t, webhook.Config{URL: target, Interpret: chat, Auth: webhook.Token(secret.Literal("T0KEN-V4LUE"))})
			receipt, err := hook.Send(t.Context(), sample())
			assert.Equal(t, tc.status, receipt.Status)
			assert.Equal(t, tc.id, receipt.ProviderID)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			assert.EqualError(t, err, "POST "+target+": "+tc.says)
			assert.Equal(t, tc.kind, failure(t, err).Kind)
			assert.Equal(t, tc.reason, failure(t, err).Reason)
			assert.Equal(t, tc.result, retry.Classify(t.Context(), err))
		})
	}
	_, err := newChannel(t, webhook.Config{URL: answerWith(t, 200, nil, `{"error":"gone"}`), Interpret: chat}).Send(t.Context(), sample())
	assert.ErrorIs(t, err, channel.ErrGone)
	assert.Equal(t, retry.VerdictPermanent, retry.Classify(t.Context(), err).Verdict)
}

// What is given to Interpret is what the receipt has: capped, and without secrets.
func TestInterpretIsGivenTheAnswer(t *testing.T) {
	t.Parallel()
	var seen webhook.Response
	var before retry.Verdict
	config := webhook.Config{
		URL:         answerWith(t, 202, http.Header{"X-Message-Id": {"m-17"}, "Set-Cookie": {"a=b"}}, "T0KEN-V4LUE and more"),
		Auth:        webhook.Token(secret.Literal("T0KEN-V4LUE")),
		MaxResponse: 16,
		Interpret: func(a webhook.Response, v retry.Verdict) webhook.Reading {
			seen, before = a, v
			return webhook.Reading{Verdict: v, ProviderID: a.Header.Get("X-Message-Id")}
		},
	}
	receipt, err := newChannel(t, config).Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, "m-17", receipt.ProviderID)
	assert.Equal(t, retry.VerdictSuccess, before)
	assert.Equal(t, webhook.Response{Status: 202, Header: receipt.Response.Header, Body: receipt.Response.Body, Truncated: true}, seen)
	assert.Equal(t, secret.Redacted+" and ", string(seen.Body))
	assert.Equal(t, secret.Redacted, seen.Header.Get("Set-Cookie"))
}

// A response with a good status that breaks off is shown to who may know from its header or its beginning.
func TestInterpretIsAskedAboutHalfASuccess(t *testing.T) {
	t.Parallel()
	for status, unknown := range map[string]bool{"200 OK": true, "500 Internal Server Error": false} {
		target := serveRaw(t, func(_ context.Context, _ int, conn net.Conn) {
			_, _ = conn.Read(make([]byte, 64<<10))
			_, _ = conn.Write([]byte("HTTP/1.1 " + status + "\r\nX-Id: m-17\r\nContent-Length: 100\r\n\r\n{\"ok\":true}"))
		})
		for _, verdict := range []retry.Verdict{retry.VerdictPermanent, retry.VerdictTransient, retry.VerdictSuccess} {
			hook := newChannel(t, webhook.Config{URL: target, Interpret: func(a webhook.Response, _ retry.Verdict) webhook.Reading {
				assert.True(t, a.Truncated)
				return webhook.Reading{Verdict: verdict, ProviderID: a.Header.Get("X-Id")}
			}})
			receipt, err := hook.Send(t.Context(), sample())
			assert.Equal(t, "m-17", receipt.ProviderID)
			if verdict == retry.VerdictSuccess {
				require.NoError(t, err)
				assert.False(t, receipt.OutcomeUnknown)
				continue
			}
			require.Error(t, err)
			assert.Equal(t, unknown, receipt.OutcomeUnknown, status)
			if unknown {
				assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, "only the beginning says so")
			}
		}
	}
}

func TestInterpretCanLeaveTheOutcomeOpen(t *testing.T) {
	t.Parallel()
	hook := newChannel(t, webhook.Config{
		URL: answerWith(t, 200, nil, `{"error":"fatal_error"}`),
		Interpret: func(webhook.Response, retry.Verdict) webhook.Reading {
			return webhook.Reading{Verdict: retry.VerdictTransient, Reason: "fatal_error", OutcomeUnknown: true}
		},
	})
	receipt, err := hook.Send(t.Context(), sample())
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	assert.True(t, receipt.OutcomeUnknown)
}

func compressed(t *testing.T, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "flate":
		var err error
		w, err = flate.NewWriter(&b, flate.BestCompression)
		require.NoError(t, err)
	}
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// Some servers compress whoever asks for what: a refusal must be read and shown all the same.
func TestACompressedAnswerIsDecodedBeforeItIsReadAndKept(t *testing.T) {
	t.Parallel()
	const answer = `{"error":"bad key K3Y-V4LUE-1"}`
	const shown = `{"error":"bad key ` + secret.Redacted + `"}`
	for name, tc := range map[string]struct{ header, body string }{
		"gzip": {"gzip", compressed(t, "gzip", answer)}, "x-gzip": {"X-GZip", compressed(t, "gzip", answer)},
		"deflate": {"deflate", compressed(t, "zlib", answer)}, "deflate without its frame": {"deflate", compressed(t, "flate", answer)},
		"identity, gzip": {"identity, gzip", compressed(t, "gzip", answer)},
	} {
		hook := newChannel(t, webhook.Config{
			URL:       answerWith(t, 200, http.Header{"Content-Encoding": {tc.header}}, tc.body),
			Headers:   []webhook.Header{{Name: "X-Key", Secret: secret.Literal("K3Y-V4LUE-1")}},
			Interpret: chat,
		})
		receipt, err := hook.Send(t.Context(), sample())
		assert.ErrorContains(t, err, "bad key "+secret.Redacted, name)
		assert.JSONEq(t, shown, string(receipt.Response.Body), name)
		assert.False(t, receipt.Response.Truncated, name)
	}
}

// What cannot be decoded tells who needs it nothing, in particular not that the event was taken.
func TestAnAnswerThatCannotBeDecodedIsNoSuccessForWhoNeedsIt(t *testing.T) {
	t.Parallel()
	whole := compressed(t, "gzip", strings.Repeat(`{"ok":true} `, 1000))
	for name, tc := range map[string]struct{ header, body string }{
		"unknown":  {"br", "x"},
		"twice":    {"gzip, gzip", compressed(t, "gzip", whole)},
		"not gzip": {"gzip", `{"ok":true}`},
		"cut":      {"gzip", whole[:len(whole)/2]},
		"changed":  {"gzip", whole[:len(whole)-8] + "01234567"},
		"no zlib":  {"deflate", "\xff\xff\xff"},
	} {
		c := webhook.Config{URL: answerWith(t, 200, http.Header{"Content-Encoding": {tc.header}}, tc.body), Interpret: wantsAll}
		receipt, err := newChannel(t, c).Send(t.Context(), sample())
		assert.Equal(t, webhook.KindUnreadable, failure(t, err).Kind, name)
		assert.ErrorContains(t, err, "the response cannot be decoded", name)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, name)
		assert.True(t, receipt.OutcomeUnknown, name)
		assert.True(t, receipt.Response.Truncated, name)
		c.Interpret = nil
		_, err = newChannel(t, c).Send(t.Context(), sample())
		require.NoError(t, err, name)
	}
}
