package config

import (
	"errors"
	"net/mail"
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/preset"
)

func presets() []Variant {
	key := func(name, doc string) []Field {
		return []Field{{Name: name, Kind: Secret, Required: true, Doc: doc}}
	}
	return []Variant{
		{Name: "datadog", Doc: "the event stream; url is for other sites than US1", Fields: key("api_key", "An API key.")},
		{Name: "discord", Doc: "a channel's webhook, whose address is url"},
		{Name: "jira", Doc: "an issue for every event; url is the site, auth is basic with an e-mail address and an API token, or bearer", Fields: []Field{
			{Name: "project", Required: true, Doc: "Key of the project, such as PAM."},
			{Name: "issue_type", Required: true, Doc: "Name of the type of issue, such as Task."},
		}},
		{Name: "pagerduty", Doc: "Events API v2; url is for other regions than the US", Fields: key("routing_key", "The integration's routing key.")},
		{Name: "sendgrid", Doc: "an e-mail by mail/send; url is for EU subusers", Fields: append(key("api_key", "An API key."),
			Field{Name: "from", Required: true, Doc: "The sender, who is verified there: an address, or Name <address>."},
			Field{Name: "to", List: true, MaxItems: 1000, Required: true, Doc: "The recipients, in the same form."})},
		{Name: "servicenow", Doc: "an incident for every event; url is the instance, auth is basic or bearer"},
		{Name: "splunk", Doc: "an HTTP Event Collector, whose address is url", Fields: key("token", "The collector's token, without the word Splunk.")},
		{Name: "teams", Doc: "a workflow, whose address is url"},
	}
}

// presetOf makes the Config of the preset p in channel s.
func presetOf(p, s Settings) (webhook.Config, error) {
	address, c, product := s.Text("url"), webhook.Config{}, p.Text("product")
	if !s.Has("url") && slices.Contains([]string{"discord", "jira", "servicenow", "splunk", "teams"}, product) {
		return c, s.Mistake("url", channel.CodeMissing, "is missing", "give it: every customer of "+product+" has one of their own")
	}
	if !p.v.complete() {
		return c, nil // which is reported already
	}
	switch product {
	case "datadog":
		c = preset.Datadog(p.Secret("api_key"))
	case "pagerduty":
		c = preset.PagerDuty(p.Secret("routing_key"))
	case "sendgrid":
		var err error
		if c, err = sendGrid(p); err != nil {
			return c, err
		}
	case "discord":
		return preset.Discord(address), nil
	case "jira":
		return preset.Jira(address, authOf(s.Object("auth")), p.Text("project"), p.Text("issue_type")), nil
	case "servicenow":
		return preset.ServiceNow(address, authOf(s.Object("auth"))), nil
	case "splunk":
		return preset.Splunk(address, p.Secret("token")), nil
	case "teams":
		return preset.Teams(address), nil
	}
	if s.Has("url") {
		c.URL = address
	}
	return c, nil
}

func sendGrid(p Settings) (webhook.Config, error) {
	var errs []error
	parse := func(field, text string) mail.Address {
		a, err := mail.ParseAddress(text)
		if err != nil {
			errs = append(errs, p.Mistake(field, channel.CodeInvalid, "is not an e-mail address", "write it as name@example.com or Name <name@example.com>"))
			return mail.Address{}
		}
		return *a
	}
	from := parse("from", p.Text("from"))
	var to []mail.Address
	for i, text := range p.Texts("to") {
		to = append(to, parse(indexed("to", i), text))
	}
	if err := errors.Join(errs...); err != nil {
		return webhook.Config{}, err
	}
	return preset.SendGrid(p.Secret("api_key"), from, to[0], to[1:]...), nil
}
