package webhook

import (
	"net/http"

	"github.com/tocsin-go/tocsin/retry"
)

// DefaultVerdicts tries again after everything that says nothing about the event itself, because losing a notice costs
// more than asking again: a receiver that is being deployed, or whose credentials are being rotated, answers 404, 401
// or a redirect as readily as 503. Permanent are the responses about the request as such: 400, 405, 406, 411, 413, 414,
// 415, 417, 422, 426, 431, 501 and 505; and 410, which means that the receiver is gone, as the Standard Webhooks
// specification says. Redirects are never followed. To deviate from it, wrap it:
//
//	func(status int) retry.Verdict {
//		if status == http.StatusConflict {
//			return retry.VerdictSuccess // it has the event already
//		}
//		return webhook.DefaultVerdicts(status)
//	}
func DefaultVerdicts(status int) retry.Verdict {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone,
		http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusExpectationFailed, http.StatusUnprocessableEntity,
		http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented,
		http.StatusHTTPVersionNotSupported:
		return retry.VerdictPermanent
	}
	return retry.VerdictTransient
}

// RetryServerErrors tries again after 408, 429 and 5xx only, as directory platforms do. Everything else is permanent.
func RetryServerErrors(status int) retry.Verdict {
	if status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500 {
		return retry.VerdictTransient
	}
	return retry.VerdictPermanent
}

// RetryAllButSuccess tries again after every response that is not a success, for receivers that must not miss an event
// whatever they answered meanwhile.
func RetryAllButSuccess(int) retry.Verdict { return retry.VerdictTransient }
