package webhook

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RateLimit says how a receiver that answers 429 writes how long to send it nothing, besides Retry-After, which
// is always understood and comes first.
type RateLimit uint8

// The forms of X-RateLimit-Reset. It is read from answers with status 429 only: on others it tells when the current
// window ends, which is no reason to wait.
const (
	RetryAfterOnly RateLimit = iota
	ResetAtUnix              // when, in seconds since 1970, with or without a fraction (SendGrid, Discord)
	ResetInSeconds           // in how many seconds, with or without a fraction (Datadog)
	ResetAtISO8601           // when, as 2026-03-01T12:00:00Z or with an offset (Jira)
)

const resetHeader = "X-Ratelimit-Reset"

// pause returns how long to send the receiver nothing, at most maxRetryAfter; 0 when it does not say.
func (l RateLimit) pause(status int, header http.Header, now time.Time) time.Duration {
	if v := header["Retry-After"]; len(v) > 0 {
		if d := retryAfter(v[0], now); d > 0 {
			return d
		}
	}
	if l == RetryAfterOnly || status != http.StatusTooManyRequests {
		return 0
	}
	value := strings.Trim(header.Get(resetHeader), " \t")
	switch l {
	case ResetInSeconds:
		return seconds(value)
	case ResetAtUnix:
		at, ok := decimal(value)
		if !ok {
			return 0
		}
		return clamp(at - float64(now.UnixMicro())/1e6)
	case ResetAtISO8601:
		// The second form is ISO 8601 without seconds, the third its basic offset, which RFC 3339 does not have.
		for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700"} {
			if at, err := time.Parse(layout, value); err == nil {
				return min(max(at.Sub(now), 0), maxRetryAfter)
			}
		}
	case RetryAfterOnly:
	}
	return 0
}

// seconds reads a number of seconds as a pause.
func seconds(value string) time.Duration {
	n, ok := decimal(value)
	if !ok {
		return 0
	}
	return clamp(n)
}

// decimal reads digits with at most one dot, infinity when there are too many for a number: neither signs nor
// exponents, NaN or infinity as words, which ParseFloat knows.
func decimal(value string) (float64, bool) {
	if value == "" || strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}

// clamp makes a pause of a number of seconds, from 0 to maxRetryAfter.
func clamp(n float64) time.Duration {
	return time.Duration(min(max(n, 0), maxRetryAfter.Seconds()) * float64(time.Second))
}

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
