package webhook

import "net/http"

// Verdict says what an answer means.
type Verdict uint8

// The verdicts.
const (
	Permanent Verdict = iota // this event will never be taken
	Retry                    // another attempt may succeed; a Retry-After header is honoured
	Gone                     // the receiver has gone for good: the error is channel.ErrGone and permanent
	Taken                    // the receiver has taken the event: a success
)

// Verdicts judges a status that is not one of [Config].Success. It must be a pure function. To deviate from a table, wrap it:
//
//	func(status int) webhook.Verdict {
//		if status == http.StatusConflict {
//			return webhook.Retry
//		}
//		return webhook.DefaultVerdicts(status)
//	}
type Verdicts func(status int) Verdict

// DefaultVerdicts tries again after 408, 425, 429 and 5xx. 410 means that the receiver has gone, as the Standard Webhooks
// specification says. Everything else is permanent, redirects included, which are never followed.
func DefaultVerdicts(status int) Verdict {
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return Retry
	case status == http.StatusGone:
		return Gone
	}
	return Permanent
}

// RetryAllButSuccess tries again after every answer that is not a success, for receivers that must not miss an event
// whatever they answered meanwhile.
func RetryAllButSuccess(int) Verdict { return Retry }
