package sns_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// attributes returns the message attributes of a request by name; all have to be strings.
func attributes(t testing.TB, form url.Values) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for n := 1; ; n++ {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", n)
		name := form.Get(entry + "Name")
		if name == "" {
			return found
		}
		assert.Equal(t, "String", form.Get(entry+"Value.DataType"))
		found[name] = form.Get(entry + "Value.StringValue")
	}
}

// single returns the one request that came, which has to be signed well.
func single(t testing.TB, c *cloud) request {
	t.Helper()
	seen := c.seen()
	require.Len(t, seen, 1, "one attempt is one request")
	require.NoError(t, seen[0].err)
	return seen[0]
}

// What is sent by default, judged by the verifier: the event's JSON and the attributes that filter policies need.
func TestPublishIsSignedAndCarriesTheEvent(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	target := serve(t, aws)
	ch := open(t, sns.Config{Endpoint: target})
	d := justified(t, `restore "orders" & check ü €`, event.Meta{Tenant: "acme", Subject: "AR-2047"})

	receipt, err := ch.Send(t.Context(), d)
	require.NoError(t, err)
	r := single(t, aws)
	assert.Equal(t, "Publish", r.form.Get("Action"))
	assert.Equal(t, topicARN, r.form.Get("TopicArn"))
	assert.Equal(t, string(d.Event.JSON()), r.form.Get("Message"), "to the byte")
	assert.Equal(t, map[string]string{
		"delivery_id": d.ID(), "event_type": "request.approved", "severity": "info", "tenant": "acme", "subject": "AR-2047", "route": "on-call",
	}, attributes(t, r.form))
	for _, name := range []string{"Subject", "MessageGroupId", "MessageDeduplicationId", "MessageStructure"} {
		assert.NotContains(t, r.form, name)
	}
	assert.Equal(t, netguard.DefaultUserAgent, r.header.Get("User-Agent"), "nothing about the host")
	assert.Equal(t, "http://"+r.host, target)

	assert.Equal(t, messageID, receipt.ProviderID)
	assert.Equal(t, http.StatusOK, receipt.Status)
	assert.False(t, receipt.OutcomeUnknown)
	assert.Positive(t, receipt.Duration)
	assert.Equal(t, "POST "+target, receipt.Request.Start)
	sent, err := url.ParseQuery(string(receipt.Request.Body))
	require.NoError(t, err)
	assert.Equal(t, r.form, sent)
	assert.Equal(t, []string{secret.Redacted}, receipt.Request.Header["Authorization"])
	assert.Equal(t, "200 OK", receipt.Response.Start)
	assert.Contains(t, string(receipt.Response.Body), messageID)
	assert.Equal(t, "request-1", receipt.Response.Header.Get("X-Amzn-Requestid"))
}

func TestASessionTokenIsSentAndSigned(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	aws.secret = func(id string) (string, string, bool) { return secretKey, "t0ken//of+a=session", id == accessKeyID }
	ch := open(t, sns.Config{
		Endpoint:    serve(t, aws),
		Credentials: sns.Static(secret.Literal(accessKeyID), secret.Literal(secretKey), secret.Literal("t0ken//of+a=session")),
	})
	receipt, err := ch.Send(t.Context(), sample())
	require.NoError(t, err)
	single(t, aws)
	assert.Equal(t, []string{secret.Redacted}, receipt.Request.Header["X-Amz-Security-Token"])
}

// Over TLS, with the server's certificate checked, and against one that is not.
func TestPublishOverTLS(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	s := httptest.NewUnstartedServer(aws)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs that its certificate is refused
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ch := open(t, sns.Config{Endpoint: s.URL, TLS: netguard.TLS{CAPEM: authority}})
	_, err := ch.Send(t.Context(), sample())
	require.NoError(t, err)
	single(t, aws)

	ch = open(t, sns.Config{Endpoint: s.URL}) // which trusts the system's roots
	receipt, err := ch.Send(t.Context(), sample())
	require.Error(t, err)
	assert.Equal(t, netguard.KindTLSCert, failure(t, err).Kind)
	assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: time.Hour}, retry.Classify(t.Context(), err))
	assert.Contains(t, string(receipt.Request.Body), "Action=Publish", "what was to be sent")
	single(t, aws)
}

func TestTemplatesMakeMessageSubjectAndAttributes(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	ch := open(t, sns.Config{
		Endpoint: serve(t, aws),
		Body:     compile(t, template.Text, "{{data.requester.name}}: {{data.justification}}\n"),
		Subject:  compile(t, template.Header, "  {{data.friendly_id}} {{data.justification}}"),
		Attributes: []sns.Attribute{
			{Name: "external_key"}, {Name: "absent"},
			{Name: "requester", Value: compile(t, template.Header, "{{data.requester.email}}")},
			{Name: "nothing", Value: compile(t, template.Header, "{{data.nothing}}")},
		},
	})
	d := justified(t, "first\r\nsecond\x00\u202e", event.Meta{Attributes: map[string]string{"external_key": "K\x01-17"}})
	p, err := event.Decode[event.RequestApproved](d.Event)
	require.NoError(t, err)
	_, err = ch.Send(t.Context(), d)
	require.NoError(t, err)
	r := single(t, aws)
	assert.Equal(t, p.Requester.Name+": first\r\nsecond\ufffd\u202e\n", r.form.Get("Message"))
	assert.Equal(t, p.FriendlyID+" first  second", r.form.Get("Subject"))
	got := attributes(t, r.form)
	assert.Equal(t, []string{"delivery_id", "event_type", "external_key", "requester", "route", "severity", "subject"}, slices.Sorted(maps.Keys(got)))
	assert.Equal(t, "K\ufffd-17", got["external_key"])
	assert.Equal(t, p.Requester.Email, got["requester"])

	asJSON := open(t, sns.Config{Endpoint: serve(t, aws), Body: compile(t, template.JSON, `{"why":"{{data.justification}}"}`)})
	_, err = asJSON.Send(t.Context(), d)
	require.NoError(t, err)
	var body struct{ Why string }
	require.NoError(t, json.Unmarshal([]byte(aws.seen()[1].form.Get("Message")), &body))
	assert.Equal(t, "first\r\nsecond\x00\u202e", body.Why)
}

// No text in an event makes a message that SNS refuses or that a queue cannot hold.
func TestNoTextKeepsAnEventFromBeingPublished(t *testing.T) {
	t.Parallel()
	aws := newCloud()
	ch := open(t, sns.Config{
		Endpoint: serve(t, aws), TopicARN: fifoARN,
		Body:       compile(t, template.Text, "{{data.justification}}."),
		Subject:    compile(t, template.Header, "{{data.justification}}"),
		Group:      compile(t, template.Header, "{{data.justification}}"),
		Attributes: []sns.Attribute{{Name: "why", Value: compile(t, template.Header, "{{data.justification}}")}},
	})
	for _, text := range []string{
		"", " ", "\x00\x1b[31m\x7f", "\ufffe\uffff", "a\r\nX-Injected: 1\r\n\r\n", "&Action=DeleteTopic&TopicArn=x", "%26%3D+", "é𝄞", "</Message>",
		strings.Repeat("𝄞", 300), strings.Repeat("long ", 2000), "\u2028\u202e\u0085",
	} {
		_, err := ch.Send(t.Context(), justified(t, text, event.Meta{}))
		require.NoError(t, err, "%q", text)
		seen := aws.seen()
		r := seen[len(seen)-1]
		require.NoError(t, r.err, "%q", text)
		require.Len(t, r.form["Action"], 1)
		for _, value := range append(r.form["Message"], attributes(t, r.form)["why"], r.form.Get("Subject")) {
			assert.Equal(t, -1, strings.IndexFunc(value, func(r rune) bool {
				return r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == '\ufffe' || r == '\uffff'
			}), "%q", text)
		}
		assert.Regexp(t, `^[!-~]{1,128}$`, r.form.Get("MessageGroupId"))
	}
}
