package webhook

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// RetryAfter is retryAfter.
func RetryAfter(value string, now time.Time) time.Duration { return retryAfter(value, now) }

// LocationOrigin is locationOrigin.
func LocationOrigin(called *url.URL, location string) string { return locationOrigin(called, location) }

// Pause is RateLimit.pause.
func Pause(l RateLimit, status int, header http.Header, now time.Time) time.Duration {
	return l.pause(status, header, now)
}

// Model is the request that every request is a copy of, or nil when there is none.
func (c *Channel) Model() *http.Request {
	m, err := c.core().template(context.Background())
	if err != nil {
		return nil
	}
	req := m.request.Clone(context.Background())
	req.Header = m.header
	return req
}

// Lines is the number of lines in the head of Model: request line, Host, Content-Length, the headers, and the empty
// line.
func (c *Channel) Lines() int { return 4 + len(c.Model().Header) }
