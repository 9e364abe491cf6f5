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
	throttled                // the same, after a pause
	renew                    // the same, with new credentials
	gone                     // there is no such topic
)

// judge returns the verdict on an answer that is not a success. Codes are those of the Publish action and of "Common
// errors" in the Amazon SNS API reference (Version 2010-03-31) and of the SDK's tables; only those are listed whose status,
// which is mostly 400 or 403, says something else. skewed means that the SDK has seen that our clock is wrong and will sign the next request for
// the server's.
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
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired":
		return renew
	case "InternalError", "InternalFailure", "ServiceUnavailable":
		return again
	case "NotFound":
		return gone
	}
	switch {
	case status == http.StatusTooManyRequests:
		return throttled
	case status == http.StatusRequestTimeout, status >= 500:
		return again
	}
	return permanent
}

// doubtful tells whether the credentials that a permanent refusal met are worth asking for again: whoever keeps them may have
// replaced them meanwhile, which the next event should find out.
func doubtful(code string) bool {
	switch code {
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch":
		return true
	}
	return false
}
