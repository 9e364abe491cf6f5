// Package email delivers events as mail through an SMTP relay: plain text and HTML, to fixed recipients and to such
// that an event names.
//
// One Send is one message in one SMTP transaction, over a connection that a netguard.Guard has judged. TLS is required
// unless a Relay says otherwise, and no credential is sent without it. github.com/wneessen/go-mail formats the message
// and speaks SMTP; addresses, header values and the finished bytes are checked here.
//
// # Recipients
//
// Each recipient has an outcome of its own: when the relay refuses one, the others get the mail all the same. Send then
// returns an error that says which were refused. If one of them may succeed later (a 4yz reply, as greylisting gives),
// the attempt counts as transient, and the next attempt is only for the recipients that do not have the mail yet. A
// redelivery on purpose is for those as well, those refused for good included; once all have the mail, a further one is
// for everybody again.
//
// [Config].Progress is where this is remembered. When the relay took the mail but its answer was lost, a recipient may
// get it twice, with the same Message-ID, by which most mailboxes recognise it.
//
// # Queues and workers
//
// With the default [Memory] no recipient gets a mail twice as long as one process makes all attempts: any queue, one
// worker process, and one Memory that all channels of the process share, so that a change of the configuration does not
// lose it. After a restart, or with several worker processes on one lane, a mail that was delivered to some recipients
// is sent to all of them again. With a Progress in a store that all workers share there is no such limit: queue and
// number of workers do not matter.
//
// A computed recipient whose template makes nothing is left out, for example an approver that is not known yet. One
// that is no address counts as refused for good. When no recipient is left, the delivery fails for good.
//
// # Only for some events
//
// Whether an event is to be mailed at all is the route's business, not the channel's. "Require external key" is the
// filter event.WithAttribute("external_key"): attributes are part of the event, so that it sees them as they were when
// the event occurred.
//
// # Connections
//
// Up to 4 connections are kept for 10 seconds, so that a burst does not pay for a handshake and a log-in each. One is
// not used again when it does not answer, when the credential has changed or when the guard's policy no longer allows
// it.
//
// # Threads
//
// Mails about one subject of a tenant refer to the same thread, whatever the route and whichever came first, and need
// no stored state for it. Gmail joins them only if their Subject is the same as well: use one that depends on the
// request alone, such as "Access request {{data.friendly_id}}", where that matters. Mail about a test event is in no
// thread.
package email
