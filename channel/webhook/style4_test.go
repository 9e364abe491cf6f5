package webhook_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// The tests of this file are the lines of endpoint privilege webhooks in the style of BeyondTrust EPM, sent to
// SendGrid, that concern what is sent or refused.

// mail is the body of SendGrid's v3 mail/send that matters here.
type mail struct {
	Personalizations []struct{ To []struct{ Email string } }
	From             struct{ Email string }
	Subject          string
	Content          []struct{ Type, Value string }
}

const mailTemplate = `{
  "personalizations": [{"to": [{"email": "desk@pam.example"}]}],
  "from": {"email": "pam@pam.example"},
  "subject": "%%User%% asks for %%ProductDescription%%",
  "content": [{"type": "text/plain", "value": "Because: %%Reason%%. See https://pam.example/tickets/%%RequestId%%?host=%%HostName%%"}]
}`

func macros(t *testing.T, source string) webhook.Body {
	t.Helper()
	tpl, err := template.Compile(source, template.Options{Syntax: template.Macros, Macros: template.ApplicationMacros()})
	require.NoError(t, err)
	return webhook.TemplateBody(tpl)
}

// ticket is an application access event with texts of anybody's in it.
func ticket(text string) event.Event {
	return event.Must(event.ApplicationAccessRequested{ApplicationAccess: event.ApplicationAccess{
		RequestID: "7f2", User: text, HostName: "WS-17", Reason: text, ProductDescription: "Disk tool",
	}}, event.Meta{Tenant: "acme"})
}

func TestStyle4TokenIsSentVerbatim(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	for _, token := range []string{"Bearer SG.abc-def_ghi", "SG.no-scheme", "GenieKey 1234-5678", "bearer  two blanks"} {
		receipt, err := newChannel(t, webhook.Config{URL: target, Auth: webhook.Token(secret.Literal(token))}).Send(t.Context(), sample())
		require.NoError(t, err)
		assert.Equal(t, []string{token}, (<-requests).header["Authorization"])
		assert.Equal(t, secret.Redacted, receipt.Request.Header.Get("Authorization"))
	}
}

func TestStyle4StaticJSONIsDeliveredUnchanged(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	const static = "\n{ \"z\": 1.10, \"a\": \"\\u00e9 %%User%% {{User}}\",\t\"a\": 2e3 }\n"
	for _, content := range []webhook.Body{webhook.StaticBody([]byte(static)), macros(t, strings.Replace(static, "%%User%%", "100%%", 1))} {
		for _, e := range []event.Event{ticket("a"), ticket("b")} {
			_, err := newChannel(t, webhook.Config{URL: target, Body: content, ContentType: "application/json; charset=utf-8"}).Send(t.Context(), delivery(e))
			require.NoError(t, err)
			got := <-requests
			assert.Equal(t, static, strings.Replace(got.body, "100%%", "%%User%%", 1))
			assert.Equal(t, "application/json; charset=utf-8", got.header.Get("Content-Type"))
		}
	}
}

func TestStyle4EveryMacroIsReplaced(t *testing.T) {
	t.Parallel()
	names := strings.Split("FilePathObjectId User RequestId EventType TenantId Timestamp ApplicationType Action Workstyle Reason HostName "+
		"trustedOwnership ProductDescription DriveType BtZoneIdentifierExists ProductCode UpgradeCode ClsId ComDisplayName Token "+
		"TokenAssignmentIsShell UacTriggered DownloadSourceUrl UserLanguage sha1Hash", " ")
	require.Len(t, names, 25)
	var source strings.Builder
	separator := "{"
	for _, name := range names {
		source.WriteString(separator + `"` + name + `":"<%%` + name + `%%>"`)
		separator = ","
	}
	source.WriteString("}")
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: macros(t, source.String())})
	e := event.Must(event.ApplicationAccessRequested{ApplicationAccess: event.ApplicationAccess{
		RequestID: "f", User: "f", HostName: "f", Reason: "f", Action: "f", Workstyle: "f", ApplicationType: "f", FilePathObjectID: "f",
		ProductDescription: "f", ProductCode: "f", UpgradeCode: "f", ClsID: "f", COMDisplayName: "f", Token: "f", DriveType: "f",
		DownloadSourceURL: "f", UserLanguage: "f", SHA1Hash: "f",
	}}, event.Meta{Tenant: "f", Time: time.Unix(7, 5)})
	_, err := hook.Send(t.Context(), delivery(e))
	require.NoError(t, err)
	var body map[string]string
	require.NoError(t, json.Unmarshal([]byte((<-requests).body), &body))
	for _, name := range names {
		want := "<f>"
		switch name {
		case "EventType":
			want = "<application_access.requested>"
		case "Timestamp":
			want = "<7.000000005>"
		case "trustedOwnership", "BtZoneIdentifierExists", "TokenAssignmentIsShell", "UacTriggered":
			want = "<false>"
		}
		assert.Equal(t, want, body[name], name)
	}
}

// A macro may stand in the middle of a text and inside a URL, and nothing in an event adds a recipient.
func TestStyle4MacrosInsideTextAndURL(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target + "/v3/mail/send", Body: macros(t, mailTemplate)})
	for _, text := range append(hostile(), `x"}]},{"to":[{"email":"evil@evil.example`) {
		_, err := hook.Send(t.Context(), delivery(ticket(text)))
		require.NoError(t, err, "%q", text)
		got := <-requests
		assert.Equal(t, "/v3/mail/send", got.uri)
		var m mail
		require.NoError(t, json.Unmarshal([]byte(got.body), &m))
		require.Len(t, m.Personalizations, 1)
		require.Len(t, m.Personalizations[0].To, 1)
		assert.Equal(t, "desk@pam.example", m.Personalizations[0].To[0].Email)
		assert.Equal(t, "pam@pam.example", m.From.Email)
		require.Len(t, m.Content, 1)
		assert.Equal(t, "text/plain", m.Content[0].Type)
		seen := strings.ToValidUTF8(text, "\ufffd")
		assert.Equal(t, seen+" asks for Disk tool", m.Subject)
		assert.Equal(t, "Because: "+seen+". See https://pam.example/tickets/7f2?host=WS-17", m.Content[0].Value)
	}
}

func TestStyle4UnknownMacroIsRefused(t *testing.T) {
	t.Parallel()
	_, err := template.Compile(`{"a":"%%Usr%%"}`, template.Options{Syntax: template.Macros, Macros: template.ApplicationMacros()})
	var wrong *template.SyntaxError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, template.KindMacro, wrong.Kind)
}

// SendGrid answers 202 and names the message; an unverified sender is refused for good and its words are in the
// receipt.
func TestStyle4SendGridsAnswers(t *testing.T) {
	t.Parallel()
	const unverified = `{"errors":[{"message":"The from address does not match a verified Sender Identity.","field":"from","help":null}]}`
	for status, tc := range map[int]struct {
		body    string
		verdict retry.Verdict
	}{
		202: {"", retry.VerdictSuccess},
		403: {unverified, retry.VerdictTransient}, // or the key is being changed
		400: {unverified, retry.VerdictPermanent},
		401: {`{"errors":[{"message":"authorization required","field":null,"help":null}]}`, retry.VerdictTransient},
		413: {"", retry.VerdictPermanent},
		429: {"", retry.VerdictTransient},
		500: {"", retry.VerdictTransient},
	} {
		hook := newChannel(t, webhook.Config{
			URL: answerWith(t, status, http.Header{"X-Message-Id": {"m-17"}}, tc.body), Body: macros(t, mailTemplate),
			RateLimit: webhook.ResetAtUnix, Auth: webhook.Token(secret.Literal("Bearer SG.abcdefgh")),
			Interpret: func(a webhook.Response, v retry.Verdict) webhook.Reading {
				return webhook.Reading{Verdict: v, ProviderID: a.Header.Get("X-Message-Id")}
			},
		})
		receipt, err := hook.Send(t.Context(), delivery(ticket("dana")))
		assert.Equal(t, tc.verdict, retry.Classify(t.Context(), err).Verdict, "%d", status)
		assert.Equal(t, tc.body, string(receipt.Response.Body))
		assert.Equal(t, "m-17", receipt.ProviderID)
	}
}

// The two events of the product are two of ours.
func TestStyle4TicketCreatedAndDecisionUpdated(t *testing.T) {
	t.Parallel()
	target, requests := record(t)
	hook := newChannel(t, webhook.Config{URL: target, Body: macros(t, `{"event":"%%EventType%%","id":"%%RequestId%%"}`)})
	for _, typ := range []event.Type{event.TypeApplicationAccessRequested, event.TypeApplicationAccessDecided} {
		e, ok := event.Sample(typ)
		require.True(t, ok)
		_, err := hook.Send(t.Context(), delivery(e))
		require.NoError(t, err)
		assert.Equal(t, `{"event":"`+string(typ)+`","id":"`+e.Subject()+`"}`, (<-requests).body)
	}
}
