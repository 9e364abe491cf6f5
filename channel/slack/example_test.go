package slack_test

import (
	"context"
	"fmt"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// A bot keeps what happens to a request in one place: the message says how it stands, the thread below it how that
// came.
func Example() {
	server, err := slacktest.New() // in place of Slack
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	guard, err := netguard.New(netguard.Profile{Loopback: true}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	bot, err := slack.NewBot(slack.BotConfig{
		Token:   secret.Literal(slacktest.Token), // rather secret.Env or secret.File
		Channel: "C024BE91L",
		API:     server.API(), // leave this out for Slack, like the next two
		Options: slack.Options{Guard: guard, Limits: netguard.Limits{AllowInsecureHTTP: true}, Interval: -1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bot.Close()
	for _, typ := range []event.Type{event.TypeRequestPending, event.TypeRequestApproved} {
		e, _ := event.Sample(typ)
		if _, err := bot.Send(context.Background(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "approvers"}, Attempt: 1}); err != nil {
			fmt.Println(err)
		}
	}
	for _, m := range server.Messages() {
		fmt.Printf("ts=%q thread_ts=%q edits=%d\n  %s\n", m.TS, m.ThreadTS, m.Edits, m.Text)
	}
	// Output:
	// ts="1503435956.000001" thread_ts="" edits=1
	//   🔵 Priya Nair may have Payments troubleshooting until 2023-10-02 20:22 UTC, approved by Tomás Ferreira and Ingrid Solberg.
	// ts="1503435956.000002" thread_ts="1503435956.000001" edits=0
	//   🔵 Priya Nair may have Payments troubleshooting until 2023-10-02 20:22 UTC, approved by Tomás Ferreira and Ingrid Solberg.
}

// An incoming webhook, with a text of one's own. What is secret in the URL comes from the environment.
func ExampleNewWebhook() {
	text, err := template.Compile("*{{data.requester.name}}* asks for access: {{data.justification}} <https://access.example.com/requests/{{url data.friendly_id}}|Decide>", template.Options{Mode: template.Slack})
	if err != nil {
		fmt.Println(err)
		return
	}
	hook, err := slack.NewWebhook(slack.WebhookConfig{
		URL:     "https://hooks.slack.com/services/{hook}",
		Masks:   []secret.Mask{{Replacement: "{hook}", Value: secret.Env("SLACK_HOOK")}},
		Options: slack.Options{Template: text},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()
	fmt.Println(hook)
	// Output: slack.Webhook(webhook.Channel(POST https://hooks.slack.com))
}
