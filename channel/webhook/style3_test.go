package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// The tests of this file are the lines of outbound events in the style of BeyondTrust Privileged Remote Access that
// concern what is sent to an HTTP recipient or refused.

// remote is a recipient of that style.
func remote(target string, o webhook.FormOptions) webhook.Config {
	return webhook.Config{URL: target, Body: webhook.FormBody(o), Success: []int{200}, Verdicts: webhook.RetryAllButSuccess}
}

// form sends e and returns the form that arrived.
func form(t *testing.T, o webhook.FormOptions, e event.Event) url.Values {
	t.Helper()
	target, requests := record(t)
	_, err := newChannel(t, remote(target, o)).Send(t.Context(), delivery(e))
	require.NoError(t, err)
	got := <-requests
	assert.Equal(t, "POST", got.method)
	assert.Equal(t, "application/x-www-form-urlencoded", got.header.Get("Content-Type"))
	values, err := url.ParseQuery(got.body)
	require.NoError(t, err)
	for name, all := range values {
		assert.Len(t, all, 1, name)
	}
	return values
}

func TestStyle3FormVariables(t *testing.T) {
	t.Parallel()
	e := sessionJoined()
	assert.Equal(t, url.Values{
		"event": {"session.member_joined"}, "version": {"1"}, "timestamp": {strconv.FormatInt(e.Time().Unix(), 10)},
		"appliance_id": {"appliance-1"}, "lsid": {"4f1c"}, "external_key": {"CHG & 7"}, "username": {"dana"}, "user_id": {"17"},
		"display_name": {"Dana Ö"}, "type": {"representative"}, "conference_name": {"db=1"}, "conference_id": {"9"},
	}, form(t, webhook.FormOptions{}, e))
}

// Every event of every kind has the three variables; timestamp is when it happened, not when it is sent.
func TestStyle3EveryFormHasEventVersionTimestamp(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		got := form(t, webhook.FormOptions{Version: "1.2.0"}, e)
		assert.Equal(t, string(typ), got.Get("event"))
		assert.Equal(t, "1.2.0", got.Get("version"))
		assert.Equal(t, strconv.FormatInt(e.Time().Unix(), 10), got.Get("timestamp"))
		assert.Less(t, e.Time(), time.Now(), typ)
	}
	// A host's own variables; what is no scalar, or not there, is left out.
	e, _ := event.Sample(event.TypeGrantActive)
	got := form(t, webhook.FormOptions{Variables: map[string]string{
		"who": "data.requester.email", "seconds": "data.access_duration_in_seconds", "groups": "data.access_groups",
		"flow": "data.access_flow", "gone": "data.nothing.here", "event": "data.requester.email",
	}}, e)
	assert.Equal(t, "grant.active", got.Get("event"), "fixed, whatever Variables says")
	assert.NotEmpty(t, got.Get("who"))
	assert.NotEmpty(t, got.Get("seconds"))
	assert.Len(t, got, 5)
}

func TestStyle3CustomFieldsOnOrOff(t *testing.T) {
	t.Parallel()
	off := form(t, webhook.FormOptions{}, sessionJoined())
	assert.NotContains(t, off, "cost_center")
	on := form(t, webhook.FormOptions{CustomFields: true}, sessionJoined())
	assert.Equal(t, "4711", on.Get("cost_center"))
	assert.Equal(t, "session.member_joined", on.Get("event"), "a custom field cannot pass for another fact")
	assert.Equal(t, "4f1c", on.Get("lsid"))
	assert.Len(t, on, len(off)+1)
}

func TestStyle3OnlyStatus200IsSuccess(t *testing.T) {
	t.Parallel()
	for status := 200; status <= 599; status++ {
		receipt, err := newChannel(t, remote(answerWith(t, status, nil, ""), webhook.FormOptions{})).Send(t.Context(), sample())
		assert.Equal(t, status, receipt.Status)
		if status == 200 {
			assert.NoError(t, err)
			continue
		}
		assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict, "%d is queued again", status)
	}
}

func TestStyle3UploadedRootCA(t *testing.T) {
	t.Parallel()
	certificate, ca := selfSigned(t, func(*x509.Certificate) {})
	target := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate}})
	c := remote(target, webhook.FormOptions{})
	_, err := newChannel(t, c).Send(t.Context(), sample())
	assert.Equal(t, netguard.KindTLSCert, failure(t, err).Kind, "the system does not know the root")
	c.TLS = netguard.TLS{CAPEM: ca}
	_, err = newChannel(t, c).Send(t.Context(), sample())
	assert.NoError(t, err)
	c.URL = "https://hooks.test"
	c.TLS.CAPEM = []byte("not a certificate")
	assert.Contains(t, refusal(t, c), "holds no certificate")
}

// beyondTrustCloudLimits are those of package config's limits "beyondtrust_cloud".
func beyondTrustCloudLimits() netguard.Limits {
	return netguard.Limits{Ports: []int{443}, Methods: []string{"POST"}}
}

func TestStyle3CloudIsHTTPSOnPort443(t *testing.T) {
	t.Parallel()
	for target, says := range map[string]string{
		"https://hooks.test/x":      "",
		"https://hooks.test:443/x":  "",
		"https://hooks.test:8443/x": "URL uses a port that is not allowed",
		"http://hooks.test/x":       "URL is not encrypted",
		"http://hooks.test:443/x":   "URL is not encrypted",
	} {
		c := remote(target, webhook.FormOptions{})
		c.Limits = beyondTrustCloudLimits()
		assert.Equal(t, says, refusal(t, c), target)
		c.Method = "PUT"
		assert.Contains(t, refusal(t, c), " is not", "%s with another method", target)
	}
}
