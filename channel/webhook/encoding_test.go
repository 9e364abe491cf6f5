package webhook_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

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
		assert.ErrorContains(t, err, "the answer cannot be decoded", name)
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, name)
		assert.True(t, receipt.OutcomeUnknown, name)
		assert.True(t, receipt.Response.Truncated, name)
		c.Interpret = nil
		_, err = newChannel(t, c).Send(t.Context(), sample())
		require.NoError(t, err, name)
	}
}
