package webhook_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

func TestS33_RateLimitForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) // 1772366400
	const day = 24 * time.Hour
	for form, values := range map[webhook.RateLimit]map[string]time.Duration{
		webhook.RetryAfterOnly: {"120": 0, "1772366520": 0, "2026-03-01T12:02:00Z": 0},
		webhook.ResetAtUnix: {
			"1772366520": 2 * time.Minute, "1772366400.5": 500 * time.Millisecond, " 1772366401 ": time.Second, "1772366400": 0, "1772366399": 0,
			"1772366520000": day, "99999999999999999999": day, "1" + zeros(400): day, "-1": 0, "NaN": 0, "Inf": 0, "1e10": 0, "": 0, "soon": 0, "2026-03-01T12:02:00Z": 0,
		},
		webhook.ResetInSeconds: {
			"120": 2 * time.Minute, "0.25": 250 * time.Millisecond, "0": 0, "86401": day, "9999999999": day, "99999999999999999999": day, "1" + zeros(400): day, "-5": 0, "NaN": 0, "": 0, "1 minute": 0,
		},
		webhook.ResetAtISO8601: {
			"2026-03-01T12:02:00Z": 2 * time.Minute, "2026-03-01T12:02Z": 2 * time.Minute, "2026-03-01T13:02:00+01:00": 2 * time.Minute,
			"2026-03-01T13:02:00+0100": 2 * time.Minute, "2026-03-01T12:00:00.250Z": 250 * time.Millisecond, "2026-03-01T11:59:59Z": 0,
			"9999-12-31T23:59:59Z": day, "2026-02-31T12:00:00Z": 0, "2026-03-01": 0, "1772366520": 0, "": 0,
		},
		99: {"120": 0},
	} {
		for value, want := range values {
			header := http.Header{"X-Ratelimit-Reset": {value}}
			assert.Equal(t, want, webhook.Pause(form, 429, header, now), "%d: %.40q", form, value)
			assert.Zero(t, webhook.Pause(form, 503, header, now), "only 429 is about the window: %.40q", value)
			header["Retry-After"] = []string{"7"}
			assert.Equal(t, 7*time.Second, webhook.Pause(form, 429, header, now), "Retry-After comes first")
			header["Retry-After"] = []string{"garbage"}
			assert.Equal(t, want, webhook.Pause(form, 429, header, now), "what is not understood is ignored")
		}
	}
}

func TestS33_RateLimitIsHonoured(t *testing.T) {
	t.Parallel()
	header := http.Header{"X-Ratelimit-Reset": {"90"}}
	for status, want := range map[int]time.Duration{429: 90 * time.Second, 500: 0, 400: 0} {
		hook := newChannel(t, webhook.Config{URL: answerWith(t, status, header, ""), RateLimit: webhook.ResetInSeconds})
		_, err := hook.Send(t.Context(), sample())
		require.Error(t, err)
		assert.Equal(t, want, retry.Classify(t.Context(), err).Delay, status)
	}
}

func FuzzRateLimit(f *testing.F) {
	for _, seed := range []string{"120", "1772366520", "1772366520.25", "2026-03-01T12:02:00Z", "1e400", "NaN", "-1"} {
		f.Add(uint8(1), seed, int64(1772366400))
	}
	f.Fuzz(func(t *testing.T, form uint8, value string, unix int64) {
		got := webhook.Pause(webhook.RateLimit(form%5), 429, http.Header{"X-Ratelimit-Reset": {value}}, time.Unix(unix, 0))
		if got < 0 || got > 24*time.Hour {
			t.Fatalf("%d: %q at %d: %v", form, value, unix, got)
		}
	})
}
