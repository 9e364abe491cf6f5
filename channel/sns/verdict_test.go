package sns_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/retry"
)

// The errors of Publish and the common errors, as the API reference lists them with their statuses.
func TestVerdictOfEveryErrorCode(t *testing.T) {
	t.Parallel()
	final := retry.Result{Verdict: retry.VerdictPermanent}
	transient := retry.Result{Verdict: retry.VerdictTransient}
	slower := retry.Result{Verdict: retry.VerdictTransient, Delay: time.Second, Throttled: true}
	for _, row := range []struct {
		status int
		code   string
		want   retry.Result
	}{
		// Publish
		{403, "AuthorizationError", transient},
		{400, "EndpointDisabled", transient},
		{500, "InternalError", transient},
		{400, "InvalidParameter", final},
		{400, "ParameterValueInvalid", final},
		{400, "InvalidParameterValue", final},
		{403, "InvalidSecurity", transient},
		{400, "KMSAccessDenied", transient},
		{400, "KMSDisabled", transient},
		{400, "KMSInvalidState", transient},
		{400, "KMSNotFound", transient},
		{403, "KMSOptInRequired", transient},
		{400, "KMSThrottling", slower},
		{404, "NotFound", final},
		{400, "PlatformApplicationDisabled", transient},
		{400, "ValidationException", final},
		{429, "Throttled", slower},
		// Common errors
		{400, "AccessDeniedException", transient},
		{403, "ExpiredToken", transient},
		{403, "ExpiredTokenException", transient},
		{400, "IncompleteSignature", final},
		{500, "InternalFailure", transient},
		{403, "InvalidClientTokenId", transient},
		{400, "MalformedQueryString", final},
		{403, "MissingAuthenticationToken", transient},
		{403, "OptInRequired", transient},
		{400, "RequestExpired", transient},
		{503, "ServiceUnavailable", transient},
		{403, "SignatureDoesNotMatch", transient},
		{400, "Throttling", slower},
		{400, "ThrottlingException", slower},
		{400, "RequestLimitExceeded", slower},
		{400, "RequestTimeout", transient},
		{403, "UnrecognizedClientException", transient},
		// What is in no table goes by its status.
		{400, "SomethingNew", final},
		{408, "SomethingNew", transient},
		{429, "SomethingNew", slower},
		{500, "SomethingNew", transient},
		{502, "", transient},
		{503, "", transient},
		{504, "", transient},
		{418, "", transient},
		{404, "", transient},
		{401, "", transient},
		{403, "", transient},
		{409, "", transient},
		{413, "", final},
		{431, "", final},
	} {
		t.Run(row.code+" "+http.StatusText(row.status), func(t *testing.T) {
			t.Parallel()
			aws := newCloud()
			aws.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
				if row.code == "" {
					w.WriteHeader(row.status)
					_, _ = w.Write([]byte("<html>not SNS"))
				} else {
					fail(w, row.status, row.code, "User: arn:aws:iam::123456789012:user/dana")
				}
				return true
			}
			target := serve(t, aws)
			ch := open(t, sns.Config{Endpoint: target})
			receipt, err := ch.Send(t.Context(), sample())
			assert.Equal(t, row.want, retry.Classify(t.Context(), err))
			e := failure(t, err)
			assert.Equal(t, sns.KindRefused, e.Kind)
			assert.Equal(t, row.status, e.Status)
			assert.Equal(t, row.code, e.Code)
			assert.Equal(t, row.code == "NotFound", errors.Is(err, channel.ErrGone))
			assert.NotContains(t, err.Error(), "dana", "what SNS said stays in the receipt")
			assert.Contains(t, err.Error(), target)
			assert.Equal(t, row.status, receipt.Status)
			assert.Empty(t, receipt.ProviderID)
			assert.False(t, receipt.OutcomeUnknown, "it was refused")
			if row.code != "" {
				assert.Contains(t, string(receipt.Response.Body), "dana")
			}
			single(t, aws)
		})
	}
}

func TestErrorTextNamesOriginStatusAndCode(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	aws.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
		fail(w, http.StatusNotFound, "NotFound", "")
		return true
	}
	target := serve(t, aws)
	_, err := open(t, sns.Config{Endpoint: target}).Send(t.Context(), sample())
	require.EqualError(t, err, "POST "+target+": answered 404 Not Found NotFound: destination is gone")
}

// AWS services say in milliseconds how long to leave them alone; a mistake in it does not put an event off for years.
func TestS33_TheServersPauseIsHonoured(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"90000": 90 * time.Second, "10": time.Second, "0": time.Second, "-1": time.Second, "soon": time.Second, "1e9": time.Second, "": time.Second,
		"9223372036854775807": 24 * time.Hour, "99999999999999999999": time.Second,
	} {
		aws := newCloud()
		aws.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
			w.Header().Set("X-Amz-Retry-After", value)
			fail(w, http.StatusBadRequest, "Throttling", "Rate exceeded")
			return true
		}
		_, err := open(t, sns.Config{Endpoint: serve(t, aws)}).Send(t.Context(), sample())
		assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: want, Throttled: true}, retry.Classify(t.Context(), err), value)
	}
	aws := newCloud()
	aws.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
		w.Header().Set("X-Amz-Retry-After", "2500")
		fail(w, http.StatusServiceUnavailable, "ServiceUnavailable", "")
		return true
	}
	_, err := open(t, sns.Config{Endpoint: serve(t, aws)}).Send(t.Context(), sample())
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: 2500 * time.Millisecond, Throttled: true}, retry.Classify(t.Context(), err))
}

// A redirect is not followed, and its target, which may hold anything, is not shown.
func TestS22_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newCloud()
	other := serve(t, elsewhere)
	for _, status := range []int{301, 302, 303, 307, 308} {
		target := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other+"/S3CRET-PATH", status)
		}))
		receipt, err := open(t, sns.Config{Endpoint: target}).Send(t.Context(), sample())
		assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err))
		assert.Equal(t, sns.KindRedirect, failure(t, err).Kind)
		assert.Equal(t, status, receipt.Status)
		assert.NotContains(t, receipt.Response.Header, "Location")
	}
	assert.Empty(t, elsewhere.seen())
}

// An answer that says 200 and is not one of SNS's is no success: whoever gave it may have taken the message or not.
func TestS35_AnAnswerWithoutAMessageIDIsUnknown(t *testing.T) {
	t.Parallel()
	for name, xml := range map[string]string{
		"nothing": "", "a portal": "<html><body>Please log in</body></html>", "not XML": "ok",
		"no id":     `<PublishResponse><PublishResult></PublishResult></PublishResponse>`,
		"empty id":  `<PublishResponse><PublishResult><MessageId></MessageId></PublishResult></PublishResponse>`,
		"odd id":    "<PublishResponse><PublishResult><MessageId>a\nb</MessageId></PublishResult></PublishResponse>",
		"cut short": `<PublishResponse><PublishResult><MessageId>94f2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := open(t, sns.Config{Endpoint: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				reply(w, http.StatusOK, xml)
			}))})
			receipt, err := ch.Send(t.Context(), sample())
			assert.Equal(t, netguard.KindProtocol, failure(t, err).Kind)
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.True(t, receipt.OutcomeUnknown)
			assert.Empty(t, receipt.ProviderID)
		})
	}
}

// When our clock is wrong SNS refuses the signature. The answer tells the time, and the next attempt is signed for it.
func TestAWrongClockHealsWithTheNextAttempt(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	aws.now = func() time.Time { return time.Now().Add(time.Hour) }
	ch := open(t, sns.Config{Endpoint: serve(t, aws)})
	_, err := ch.Send(t.Context(), sample())
	assert.Equal(t, "SignatureDoesNotMatch", failure(t, err).Code)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
	_, err = ch.Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Len(t, aws.seen(), 2)
}

func TestCheckAsksForTheTopic(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	ch := open(t, sns.Config{Endpoint: serve(t, aws)})
	require.NoError(t, ch.Check(t.Context()))
	assert.Equal(t, "GetTopicAttributes", single(t, aws).form.Get("Action"))

	deleted := open(t, sns.Config{Endpoint: serve(t, aws), TopicARN: topicARN + "-deleted"})
	require.ErrorIs(t, deleted.Check(t.Context()), channel.ErrGone)

	aws.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
		fail(w, http.StatusForbidden, "AuthorizationError", "")
		return true
	}
	err := ch.Check(t.Context())
	assert.Equal(t, "AuthorizationError", failure(t, err).Code)

	done, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, ch.Check(done), context.Canceled)
	assert.Len(t, aws.seen(), 3)
}
