package main

import (
	"net/http"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// style is how one product tells others about an access request.
type style struct {
	title   string
	event   event.Event
	config  webhook.Config // without URL, guard and limits
	path    string         // of the URL
	answers int            // the receiver's status
}

const accessRequest = `{
  "type": "{{event_type}}",
  "request": "{{data.friendly_id}}",
  "requester": "{{data.requester.name}} <{{data.requester.email}}>",
  "reason": "{{data.justification}}",
  "systems": [{{#each data.access_groups}}"{{integration.name}}"{{#unless @last}}, {{/unless}}{{/each}}]
}`

const mail = `{
  "personalizations": [{"to": [{"email": "helpdesk@example.com"}]}],
  "from": {"email": "access@example.com"},
  "subject": "%%User%% asks for access",
  "content": [{
    "type": "text/plain",
    "value": "Decide at https://pam.example/requests/%%RequestId%%?from=mail"
  }],
  "custom_args": {"reason": "%%Reason%%"}
}`

// styles lists the five, all about the same request.
func styles(request event.AccessRequest) ([]style, error) {
	pending, err := event.New(event.RequestPending{AccessRequest: request}, event.Meta{
		Source: "https://pam.example", Tenant: "acme", Attributes: map[string]string{"cost_center": "4711", "external_key": "CHG-17"},
	})
	if err != nil {
		return nil, err
	}
	// A directory platform knows no access requests; its product raises an alert about this one.
	alert, err := event.New(event.AlertOpened{Alert: event.Alert{
		AlertID: "alert-1", AlertTitle: "Access request " + request.FriendlyID, Category: "access", DIEvent: "access_request_created",
		Description: "Somebody asks for access to a production system.", EventDescription: request.Justification,
		InitiatedBy: request.Requester.Email, OccurredAt: request.CreationDate, Priority: event.PriorityMedium, RuleID: "rule-9",
		SourceID: request.ID, SourceName: request.FriendlyID, SourceType: "access_request", SourceURL: request.URL, Status: event.AlertStatusOpen,
	}}, event.Meta{Tenant: "acme"})
	if err != nil {
		return nil, err
	}

	handlebars, err := template.Compile(accessRequest, template.Options{})
	if err != nil {
		return nil, err
	}
	// The names of the macros are the product's; template.ApplicationMacros has all of them for its own events.
	macros, err := template.Compile(mail, template.Options{Syntax: template.Macros, Macros: map[string]string{
		"User": "data.requester.name", "Reason": "data.justification", "RequestId": "data.friendly_id",
	}})
	if err != nil {
		return nil, err
	}
	return []style{
		{
			title: "1. Access-request webhook: a Handlebars template makes the JSON", event: pending, answers: http.StatusOK,
			path:   "/access-requests",
			config: webhook.Config{Method: http.MethodPut, Body: webhook.TemplateBody(handlebars), Headers: []webhook.Header{{Name: "X-Team", Value: "platform"}}},
		},
		{
			title: "2. Notification channel: the event as it is", event: pending, answers: http.StatusNoContent,
			path:   "/notifications",
			config: webhook.Config{Headers: []webhook.Header{{Name: "X-Channel", Value: "audit"}}},
		},
		{
			title: "3. Outbound event: form variables with custom fields; nothing but 200 is a success", event: pending, answers: http.StatusOK,
			path: "/outbound",
			config: webhook.Config{
				Body: webhook.FormBody(webhook.FormOptions{CustomFields: true, Variables: map[string]string{
					"lsid": "data.id", "username": "data.requester.email", "display_name": "data.requester.name", "conference_name": "data.friendly_id",
				}}),
				Success: []int{http.StatusOK}, Verdicts: webhook.RetryAllButSuccess,
			},
		},
		{
			title: "4. Endpoint privilege webhook to SendGrid: macros inside JSON, the token as it is", event: pending, answers: http.StatusAccepted,
			path:   "/v3/mail/send",
			config: webhook.Config{Body: webhook.TemplateBody(macros), Auth: webhook.Token(secret.Literal("Bearer SG.not-a-real-key"))},
		},
		{
			title: "5. Alert webhook: seventeen fields, a URL with a secret part, a sensitive header", event: alert, answers: http.StatusOK,
			path: "/alerts/{token}",
			config: webhook.Config{
				Body:    webhook.AlertBody(),
				Masks:   []secret.Mask{{Replacement: "{token}", Value: secret.Literal("tok-5ecret-7")}},
				Headers: []webhook.Header{{Name: "X-Api-Key", Secret: secret.Literal("api-5ecret-8")}},
			},
		},
	}, nil
}
