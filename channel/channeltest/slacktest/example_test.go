package slacktest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// A request and its approval, as people see them. A test writes slacktest.Start(t) and needs no Close.
func Example() {
	ctx := context.Background()
	workspace, err := slacktest.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer workspace.Close()
	bot, err := slack.NewBot(workspace.BotConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bot.Close()

	// A host's test dispatches the events to a route with the channel instead.
	go func() {
		_, _ = bot.Send(ctx, delivery(event.TypeRequestPending))
		_, _ = bot.Send(ctx, delivery(event.TypeRequestApproved))
	}()
	if err := workspace.Wait(ctx, 2); err != nil {
		fmt.Println(err)
		return
	}
	message, reply := workspace.Messages()[0], workspace.Messages()[1]
	fmt.Println(message.Lines[0], "- edits:", message.Edits)
	fmt.Println(message.Lines[1])
	fmt.Println(reply.Lines[0], "- in its thread:", reply.ThreadTS == message.TS)
	// Output:
	// 🔵 Access request AR-2047 is approved - edits: 1
	// *Status* Approved
	// 🔵 Access request AR-2047 is approved - in its thread: true
}

// Slack asks for a pause, loses an answer, and has archived the channel.
func ExampleServer_Script() {
	ctx := context.Background()
	workspace, err := slacktest.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer workspace.Close()
	for _, response := range []slacktest.Response{{RetryAfter: 30 * time.Second}, {Drop: true}, {Error: "channel_is_archived"}} {
		hook, err := slack.NewWebhook(workspace.WebhookConfig()) // a new one, which has not been asked for a pause
		if err != nil {
			fmt.Println(err)
			return
		}
		defer hook.Close()
		workspace.Script(response)
		receipt, err := hook.Send(ctx, delivery(event.TypeGrantRevoked))
		result := retry.Classify(ctx, err)
		fmt.Println(result.Verdict, result.Delay, "posted:", len(workspace.Messages()), "unknown:", receipt.OutcomeUnknown)
	}
	// Output:
	// transient 30s posted: 0 unknown: false
	// transient 0s posted: 1 unknown: true
	// permanent 0s posted: 1 unknown: false
}
