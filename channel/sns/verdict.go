package sns

import (
	"net/http"

	sdkretry "github.com/aws/aws-sdk-go-v2/aws/retry"
)

// verdict says what a refusal means for later attempts.
type verdict uint8

const (
	permanent verdict = iota // the request will never be taken
	again                    // another attempt may succeed
	throttled                // the same, and SNS wants to be left alone for a while
	renew                    // the same, with new credentials
	gone                     // there is no such topic
)

// judge returns the verdict on an answer that is not a success. Only what is about the request itself is permanent:
// losing a notice costs more than asking again. Codes are those of the Publish action and of "Common
// errors" in the Amazon SNS API reference (Version 2010-03-31) and of the SDK's tables; only those are listed whose
// status, which is mostly 400 or 403, says something else. skewed means that the SDK has seen that our clock is wrong
// and will sign the next request for the server's.
func judge(status int, code string, skewed bool) verdict {
	if _, ok := sdkretry.DefaultThrottleErrorCodes[code]; ok {
		return throttled
	}
	if _, ok := sdkretry.DefaultRetryableErrorCodes[code]; ok || skewed {
		return again
	}
	switch code {
	case "Throttled", "KMSThrottling", "KMSThrottlingException":
		return throttled
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired",
		"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "MissingAuthenticationToken",
		"AuthorizationError", "AccessDenied", "AccessDeniedException":
		return renew
	case "InternalError", "InternalFailure", "ServiceUnavailable":
		return again
	case "NotFound":
		return gone
	case "EndpointDisabled", "PlatformApplicationDisabled", "OptInRequired", "InvalidSecurity",
		"KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired":
		return again // about the account, which somebody can put right
	}
	switch status {
	case http.StatusTooManyRequests:
		return throttled
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return renew
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusLengthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusExpectationFailed,
		http.StatusUnprocessableEntity, http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge,
		http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return permanent // about the request
	}
	return again
}
