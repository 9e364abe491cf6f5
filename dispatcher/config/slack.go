package config

import (
	"slices"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/template"
)

func slackType() Type {
	return Type{
		Doc: "A channel of Slack: by an incoming webhook (url), or by an app (token and channel), which updates its messages.",
		Fields: slices.Concat([]Field{
			{Name: "url", Kind: Address, Destination: true, Doc: "The incoming webhook's address, a secret unless there are masks. Instead of token and channel."},
			{Name: "masks", Kind: Masks, guards: true, Doc: "Secret parts of the URL, which then shows their replacements."},
			{Name: "token", Kind: Secret, Doc: "The app's bot token, xoxb-…, with the scope chat:write."},
			{Name: "channel", Destination: true, Doc: "Id of the channel that the app posts to, such as C024BE91L."},
			{Name: "api", Destination: true, Doc: "Where the Web API is. Default: https://slack.com/api."},
			{Name: "separate", Kind: Flag, Doc: "Whether the app makes each event a message of its own. Default: false."},
			{Name: "template", Doc: "A Handlebars template that makes the message, in place of the built-in one."},
			{Name: "format", Values: []string{"mrkdwn", "json"}, Doc: "What the template makes: Slack's text, or the whole message. Default: mrkdwn."},
			{Name: "interval", Kind: Duration, Min: 1, Word: "none", Doc: "The least time between two messages. Default: 1s; none = no pause."},
			limitsField(),
			proxyField(),
			timeoutsField(),
		}, tlsFields()),
		Make:    makeSlack,
		Paths:   map[string]string{"TLS": "ca_certificate"},
		partial: true,
	}
}

func makeSlack(s Settings, e Environment) (channel.Channel, error) {
	o := template.Options{Mode: template.Slack}
	if s.Text("format") == "json" {
		o.Mode = template.JSON
	}
	t, templateErr := s.Template("template", o)
	options := slack.Options{
		Template: t, Interval: s.Duration("interval"), Guard: e.Guard, Limits: e.Limits,
		TLS: tlsOf(s, e), Proxy: e.Proxy, Timeouts: timeoutsOf(s), Logger: e.Logger,
	}
	hook, app := s.Has("url"), s.Has("token") || s.Has("channel")
	if app && !hook {
		bot, err := slack.NewBot(slack.BotConfig{Token: s.Secret("token"), Channel: s.Text("channel"), API: s.Text("api"), Separate: s.Flag("separate", false), References: e.References, Options: options})
		return finish(bot, err, templateErr)
	}
	var urlErr error
	switch {
	case hook && app:
		urlErr = s.Mistake("url", channel.CodeConflict, "is set beside token or channel", "keep the webhook's url, or the app's token and channel")
	case !hook:
		urlErr = s.Mistake("url", channel.CodeMissing, "is missing", "give the incoming webhook's url, or an app's token and channel")
	}
	incoming, err := slack.NewWebhook(slack.WebhookConfig{URL: s.Text("url"), Masks: s.Masks("masks"), Options: options})
	return finish(incoming, err, templateErr, urlErr)
}
