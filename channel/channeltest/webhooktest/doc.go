// Package webhooktest is an HTTP receiver on loopback for tests of code that sends webhooks, with package webhook or
// without it. It keeps every request, and checks signatures if it is to.
//
//	receiver := webhooktest.Start(t, webhooktest.Options{})
//	hook, err := webhook.New(receiver.Config()) // URL and guard are filled in
//	// dispatch an event to a route with this channel
//	err = receiver.Wait(ctx, 1)
//	received := receiver.Requests()[0] // Method, URI, Header, Body
//
// It answers 200, unless a test says otherwise: [Server.Script] answers the next requests, and [Server.Handle] answers
// by what came. Both can refuse, ask for a pause, be silent or close the connection: see [Response]. Slack has a
// receiver of its own, package slacktest.
//
// Sockets have no place in a testing/synctest bubble: use a channeltest.Recorder there.
package webhooktest
