// Package slack delivers events to Slack as messages that somebody can act on: who, what, why, for how long, how things
// stand, and a link to it.
//
// A [Webhook] needs no more than the URL of an incoming webhook. A [Bot] needs an app's token, and in return keeps
// everything about one request together. What both post by default is made of a notice.Notice; [Options].Template
// replaces it.
//
// Text from events is literal: it is either plain text to Slack or escaped, so that nobody can mention a channel or invent
// a link by asking for access with the right words. The one link of a message is the notice's.
package slack
