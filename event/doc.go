// Package event holds the typed lifecycle events of privileged-access products: who asked for access, who decided,
// when it began and ended, what happened in sessions and alerts.
//
// A payload such as [RequestApproved] is a Go struct. [New] makes an [Event] out of it: an immutable value with an id,
// a time, a type and the payload encoded once, shared by all channels. [Filter] says which events a route wants;
// [Sample] and [Schema] show what each type looks like.
//
// # Compatibility
//
// The JSON form of events is part of the package's interface. Fields are only ever added, so receivers should ignore
// what they do not know. Hosts add types of their own by implementing [Payload], under any prefix but "tocsin.".
package event
