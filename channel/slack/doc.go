// Package slack delivers events to Slack as messages that somebody can act on: who, what, why, for how long, the
// state, and a link to it.
//
// A [Webhook] needs no more than the URL of an incoming webhook. A [Bot] needs an app's token, and in return keeps
// everything about one request together. What both post by default is made of a notice.Notice; [Options].Template
// replaces it.
//
// A Bot's app needs the scope chat:write and an invitation to the channel, and its route Order: BySubject. A request
// stays one message: later events bring it up to date and reply in its thread; what somebody has to act on is shown in
// the channel too. Servers with Slack's interface, such as Mattermost, take a [Webhook]. A template never says where a
// message goes.
//
// Text from events is literal: it is either plain text to Slack or escaped, so that nobody can mention a channel or
// invent a link by asking for access with the right words. The one link of a message is the notice's.
//
// A test event (event.Event.IsTest) is a message of its own that says TEST. A Bot neither updates nor answers anything
// with it, and does not remember it.
//
// # Queues and workers
//
// A [Webhook] remembers nothing: any queue and any number of workers will do. What a [Bot] has to know of earlier
// messages is in its References. With the default [Memory] that is one process: with any queue that one worker process
// serves, and one Memory that all bots of the process share, so that a change of the configuration does not lose it;
// after a restart the next event about each subject begins a message of its own. With References in a store that all
// workers share, the SlackReferences of package sqlitequeue for one process and its restarts, or a table of the host's
// for several, queue and number of workers do not matter, as long as the events of a subject come in order.
//
// The pace is each process's own. With n worker processes on one lane set [Options].Interval to n seconds, or leave it
// to Slack, whose refusals hold up the lane for as long as it asks.
package slack
