// Package event holds the typed lifecycle events of privileged-access products: who asked for access, who decided,
// when it began and ended, what happened in sessions and alerts.
//
// A payload such as [RequestApproved] is a Go struct. [New] makes an [Event] out of it: an immutable value with an id,
// a time, a type and the payload encoded once, shared by all channels. [Filter] says which events a route wants;
// [Sample] and [Schema] show what each type looks like.
//
// # Limits
//
// A payload has at most 256 KiB as JSON ([MaxDataSize]). Nobody can silence an event by writing more than that: the
// longest texts are cut, with a mark where they end, and the event says so ("shortened" in its JSON form,
// [Event.Shortened]). An identifier that is too long, or a payload with too many values, is an [*InvalidError] of
// [New]. [Must] is for tests.
//
// # Other names
//
// A receiver may have words of its own for the types: a [Vocabulary] translates both ways. [Event.ForTest] marks a copy
// of an event as a test; [Event.CorrelationID] names what an event is about, for destinations that group or close.
//
// # Compatibility
//
// The JSON form of events is part of the package's interface. Fields are only ever added, so receivers should ignore
// what they do not know. Hosts add types of their own by implementing [Payload], under any prefix but "tocsin.".
package event
