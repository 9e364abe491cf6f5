// Package slacktest is Slack on loopback for tests of code that posts to it, with package slack or without it: incoming
// webhooks, and of the Web API what a bot needs that posts, edits and replies (chat.postMessage, chat.update,
// auth.test). It keeps the messages, and refuses in Slack's words what Slack would refuse.
//
//	workspace := slacktest.Start(t)
//	bot, err := slack.NewBot(workspace.BotConfig()) // or NewWebhook and WebhookConfig
//	// dispatch events to a route with this channel
//	err = workspace.Wait(ctx, 2)
//	first := workspace.Messages()[0] // Text, Lines, Mentions, Edits, …
//
// A test can say otherwise: [Server.Script] answers the next requests, and [Server.Handle] answers by what came. Both
// can refuse with an error of Slack's, ask for a pause, be silent or lose the answer: see [Response]. Every channel and
// every webhook exists, and Slack's own rate limit is not enforced. A bot brings its first message up to date before it
// replies to it, so that the edit is there when Wait has seen the reply.
//
// A configuration document gets Token, Channel and API, or Hook as url. Its limits have to allow HTTP without TLS, and
// its network loopback. Without "interval": "none" it posts a message a second.
//
// Sockets have no place in a testing/synctest bubble: use a channeltest.Recorder there.
package slacktest
