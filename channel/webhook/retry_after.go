package webhook

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a receiver can ask for: a mistake of the other side must not put an event off for years.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads a Retry-After value (RFC 9110 section 10.2.3): an HTTP date or seconds, which some send with a
// fraction. It returns a pause from now, at most maxRetryAfter; 0 when the value is in the past or not understood.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789.") == "" {
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || seconds > math.MaxInt64/float64(time.Second) {
			return 0
		}
		return min(time.Duration(seconds*float64(time.Second)), maxRetryAfter)
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
