package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// The tests of this file are the lines of webhook channels and alerts in the style of JumpCloud that concern what is
// sent or refused.

// serverErrors retries what that style retries, and nothing else.
func serverErrors(status int) retry.Verdict {
	if status >= 500 || status == 408 || status == 429 {
		return retry.VerdictTransient
	}
	return retry.VerdictPermanent
}

func TestStyle5VerifiesTLSByDefault(t *testing.T) {
	t.Parallel()
	certificate, _ := selfSigned(t, func(*x509.Certificate) {})
	_, err := newChannel(t, webhook.Config{URL: serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate}})}).Send(t.Context(), sample())
	assert.Equal(t, netguard.KindTLSCert, failure(t, err).Kind)
}

func TestStyle5UpToTenURLMasks(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	shown, called := target, "/"
	var masks []secret.Mask
	for i := range 10 {
		masks = append(masks, secret.Mask{Replacement: fmt.Sprintf("{m%d}", i), Value: secret.Literal(fmt.Sprintf("s3cret-part-%d", i))})
		shown += fmt.Sprintf("/{m%d}", i)
		called += fmt.Sprintf("s3cret-part-%d/", i)
	}
	receipt, err := newChannel(t, webhook.Config{URL: shown, Masks: masks}).Send(t.Context(), sample())
	require.NoError(t, err)
	assert.Equal(t, called, (<-requests).uri+"/", "the URL called has the values")
	assert.Equal(t, "POST "+shown, receipt.Request.Start, "the URL shown has the replacements")
	assert.NotContains(t, fmt.Sprintf("%+v", receipt), "s3cret-part")

	eleven := append(masks, secret.Mask{Replacement: "{m}", Value: secret.Literal("x")})
	assert.Contains(t, refusal(t, webhook.Config{URL: "https://hooks.test/{m}", Masks: eleven}), "Masks[10] ")

	// After saving, a value can be kept, replaced or deleted, and never read.
	stored := secret.URL{Text: "https://hooks.test/{m0}/{m1}", Masks: masks[:2]}
	saved, err := json.Marshal(stored)
	require.NoError(t, err)
	assert.NotContains(t, string(saved), "s3cret")
	var edited secret.URL
	require.NoError(t, json.Unmarshal(saved, &edited))
	edited.Masks[1].Value = secret.Literal("another")
	merged, err := stored.Update(edited)
	require.NoError(t, err)
	text, err := merged.Expand(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "https://hooks.test/s3cret-part-0/another", text)
}

func TestStyle5AuthNoneBasicToken(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for want, auth := range map[string]webhook.Auth{
		"": {},
		"Basic " + base64.StdEncoding.EncodeToString([]byte("dana:päss word")): webhook.Basic("dana", secret.Literal("päss word")),
		"Bearer abc.def": webhook.Token(secret.Literal("Bearer abc.def")),
	} {
		_, err := newChannel(t, webhook.Config{URL: target, Auth: auth}).Send(t.Context(), sample())
		require.NoError(t, err)
		assert.Equal(t, want, (<-requests).header.Get("Authorization"))
	}
}

func TestStyle5UpToTwentyFiveHeadersEachMaybeSensitive(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	c := webhook.Config{URL: target}
	for i := range 25 {
		h := webhook.Header{Name: fmt.Sprintf("X-%d", i), Value: "shown-value"}
		if i%2 == 0 {
			h = webhook.Header{Name: h.Name, Secret: secret.Literal("hidden-value")}
		}
		c.Headers = append(c.Headers, h)
	}
	receipt, err := newChannel(t, c).Send(t.Context(), sample())
	require.NoError(t, err)
	got := <-requests
	for i, h := range c.Headers {
		if !h.Secret.IsZero() {
			assert.Equal(t, "hidden-value", got.header.Get(h.Name), i)
			assert.Equal(t, secret.Redacted, receipt.Request.Header.Get(h.Name), i)
		} else {
			assert.Equal(t, "shown-value", got.header.Get(h.Name), i)
			assert.Equal(t, "shown-value", receipt.Request.Header.Get(h.Name), i)
		}
	}
	c.URL = "https://hooks.test"
	c.Headers = append(c.Headers, webhook.Header{Name: "X-25", Value: "x"})
	assert.Equal(t, "Headers has 26 headers", refusal(t, c))

	// The choice cannot be undone after saving, only the header removed.
	stored := []webhook.Header{{Name: "X-Key", Secret: secret.Literal("hidden-value")}}
	_, err = webhook.UpdateHeaders(stored, []webhook.Header{{Name: "x-key", Value: "plain"}}, true)
	assert.ErrorContains(t, err, "was saved as sensitive, which cannot be undone")
	left, err := webhook.UpdateHeaders(stored, nil, true)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestStyle5AlertHasExactly17Fields(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: webhook.AlertBody()})
	for _, priority := range []event.AlertPriority{event.PriorityCritical, event.PriorityHigh, event.PriorityMedium, event.PriorityLow} {
		for _, status := range []event.AlertStatus{event.AlertStatusOpen, event.AlertStatusAcknowledged, event.AlertStatusResolved, event.AlertStatusAutoResolved} {
			_, err := hook.Send(t.Context(), delivery(event.Must(event.AlertOpened{Alert: event.Alert{
				AlertID: "a-1", AlertTitle: `"}{"`, Priority: priority, Status: status,
			}}, event.Meta{})))
			require.NoError(t, err)
			got := <-requests
			assert.Equal(t, "POST", got.method)
			assert.Equal(t, "application/json", got.header.Get("Content-Type"))
			var body map[string]any
			require.NoError(t, json.Unmarshal([]byte(got.body), &body))
			assert.Equal(t, []string{
				"alert_id", "alert_title", "category", "description", "di_event", "event_description", "initiated_by", "occurred_at",
				"previous_alert_status", "priority", "rule_id", "source_id", "source_name", "source_type", "source_url", "status", "update_at",
			}, sortedNames(body))
			assert.Equal(t, string(priority), body["priority"])
			assert.Equal(t, string(status), body["status"])
			assert.Equal(t, `"}{"`, body["alert_title"])
		}
	}
	assert.Equal(t, []string{"Critical", "High", "Medium", "Low", "Open", "Acknowledged", "Resolved", "Auto-Resolved"}, []string{
		string(event.PriorityCritical), string(event.PriorityHigh), string(event.PriorityMedium), string(event.PriorityLow),
		string(event.AlertStatusOpen), string(event.AlertStatusAcknowledged), string(event.AlertStatusResolved), string(event.AlertStatusAutoResolved),
	})
}

func TestStyle5RetriesServerErrorsTimeoutsAndThrottlingOnly(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 204, 299, 301, 400, 401, 404, 408, 409, 410, 425, 429, 451, 500, 502, 503, 504, 599} {
		hook := newChannel(t, webhook.Config{URL: answerWith(t, status, nil, ""), Body: webhook.AlertBody(), Verdicts: serverErrors})
		e, _ := event.Sample(event.TypeAlertOpened)
		_, err := hook.Send(t.Context(), delivery(e))
		want := retry.VerdictPermanent
		switch {
		case status < 300:
			want = retry.VerdictSuccess
		case status >= 500, status == 408, status == 429:
			want = retry.VerdictTransient
		}
		assert.Equal(t, want, retry.Classify(t.Context(), err).Verdict, "%d", status)
	}
}
