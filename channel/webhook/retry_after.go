package webhook

import (
	"net/http"
	"strings"
	"time"
)

// maxRetryAfter is the longest pause that a receiver can ask for. A longer one, such as milliseconds written as seconds
// or a date that is far away, is cut to it: a mistake of the other side must not put an event off for years.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads a Retry-After value (RFC 9110 section 10.2.3): an HTTP date or seconds, however many, which some
// send with a fraction. It returns a pause from now, at most maxRetryAfter; 0 when the value is in the past or not
// understood.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.Trim(value, " \t")
	if d := seconds(value); d > 0 {
		return d
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
