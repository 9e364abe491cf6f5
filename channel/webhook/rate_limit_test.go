package webhook_test

import (
	"net/http"
	"strings"
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

func TestS33_RetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"120":                             2 * time.Minute,
		"0":                               0,
		"1.5":                             1500 * time.Millisecond,
		".25":                             250 * time.Millisecond,
		" 3\t":                            3 * time.Second,
		"007":                             7 * time.Second,
		"86400":                           24 * time.Hour,
		"86401":                           24 * time.Hour,
		"9000000000":                      24 * time.Hour,
		"9999999999":                      24 * time.Hour, // more than a Duration holds
		"9223372036.9":                    24 * time.Hour,
		"99999999999999999999":            24 * time.Hour,
		"1" + zeros(400):                  24 * time.Hour,
		"90000":                           24 * time.Hour, // 90 seconds as milliseconds
		"60000":                           60000 * time.Second,
		"-1":                              0,
		"+1":                              0,
		"1e3":                             0,
		"0x10":                            0,
		"1_000":                           0,
		"1,5":                             0,
		"1.5.5":                           0,
		".":                               0,
		"NaN":                             0,
		"Inf":                             0,
		"infinity":                        0,
		"":                                0,
		" ":                               0,
		"soon":                            0,
		"120 seconds":                     0,
		"Sun, 01 Mar 2026 12:02:00 GMT":   2 * time.Minute,
		"Sunday, 01-Mar-26 12:02:00 GMT":  2 * time.Minute,
		"Sun Mar  1 12:02:00 2026":        2 * time.Minute,
		"Sun, 01 Mar 2026 11:59:59 GMT":   0,
		"Sun, 01 Mar 2026 12:00:00 GMT":   0,
		"Sun, 01 Mar 2099 12:00:00 GMT":   24 * time.Hour,
		"Mon, 01 Jan 9999 00:00:00 GMT":   24 * time.Hour,
		"Sun, 31 Feb 2026 12:02:00 GMT":   0,
		"2026-03-01T12:02:00Z":            0,
		"Sun, 01 Mar 2026 12:02:00 +0100": 0,
	} {
		assert.Equal(t, want, webhook.RetryAfter(value, now), "%.40q", value)
	}
}

func zeros(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = '0'
	}
	return string(b)
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "1.5", "-1", "NaN", "Sun, 01 Mar 2026 12:02:00 GMT", "1e400", "٣", "999999999999999999999"} {
		f.Add(seed, int64(1772366400))
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		now := time.Unix(unix, 0)
		got := webhook.RetryAfter(value, now)
		if got < 0 || got > 24*time.Hour {
			t.Fatalf("%q at %v: %v", value, now, got)
		}
		if digits := strings.Trim(value, "0123456789") == ""; digits && (got > 0) != (strings.Trim(value, "0") != "") {
			t.Fatalf("%q are seconds, however many, and give %v", value, got)
		}
		if got > 0 && value[0] == '-' {
			t.Fatalf("%q is negative and gives %v", value, got)
		}
	})
}
