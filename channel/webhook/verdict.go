package webhook

import (
	"net/http"
)

// Verdict says what an answer means.
type Verdict uint8

// The verdicts.
const (
	Permanent Verdict = iota // this event will never be taken
	Retry                    // another attempt may succeed; a pause that the receiver asks for is honoured
	Gone                     // the receiver has gone for good: the error is channel.ErrGone and permanent
	Taken                    // the receiver has taken the event: a success
)

// Verdicts judges a status that is not one of [Config].Success. It must be a pure function. To deviate from a table,
// wrap it:
//
//	func(status int) webhook.Verdict {
//		if status == http.StatusConflict {
//			return webhook.Taken // it has the event already
//		}
//		return webhook.DefaultVerdicts(status)
//	}
type Verdicts func(status int) Verdict

// DefaultVerdicts tries again after everything that says nothing about the event itself, because losing a notice costs
// more than asking again: a receiver that is being deployed, or whose credentials are being rotated, answers 404, 401
// or a redirect as readily as 503. Permanent are the answers about the request as such: 400, 405, 406, 411, 413, 414,
// 415, 417, 422, 426, 431, 501 and 505. 410 means that the receiver has gone, as the Standard Webhooks specification
// says. Redirects are never followed.
func DefaultVerdicts(status int) Verdict {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusLengthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType,
		http.StatusExpectationFailed, http.StatusUnprocessableEntity, http.StatusUpgradeRequired,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return Permanent
	case http.StatusGone:
		return Gone
	}
	return Retry
}

// RetryServerErrors tries again after 408, 429 and 5xx only, as directory platforms do. 410 means that the receiver has
// gone, and everything else is permanent.
func RetryServerErrors(status int) Verdict {
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return Retry
	case status == http.StatusGone:
		return Gone
	}
	return Permanent
}

// RetryAllButSuccess tries again after every answer that is not a success, for receivers that must not miss an event
// whatever they answered meanwhile.
func RetryAllButSuccess(int) Verdict { return Retry }
