// Package netguard makes the outbound connections of channels: one dialer that judges every address after name
// resolution, and an HTTP client on top of it that follows no redirect, keeps no cookie, limits every phase and reports
// failures by kind, without the URL.
//
// A [Guard] holds the operator's policy, a [Profile]. HTTP channels take a [Client] from it, others its DialContext.
// What a user configures, a URL for example, is validated with [CheckURL] and a [Limits] value; that is for early,
// clear messages and for policy. What protects the network is the verdict at dial time, because a name can resolve to
// another address a moment later.
package netguard
