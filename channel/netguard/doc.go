// Package netguard makes the outbound connections of channels: one dialer that checks every address after name
// resolution, and an HTTP client on top of it that follows no redirect, keeps no cookie, limits every phase and reports
// failures by kind, without the URL.
//
// A [Guard] holds the operator's policy, a [Profile]. HTTP channels take a [Client] from it, others its DialContext.
// What a user configures, a URL for example, is validated with [ParseURL] and a [Limits] value; that is for early,
// clear messages and for policy. What protects the network is the check at dial time, because a name can resolve to
// another address a moment later.
//
// # Why it keeps its connections itself
//
// A [Client] writes and reads HTTP/1.1 with net/http's own Request.Write and ReadResponse, but does not use
// http.Transport for the connections:
//
//   - One call of Do is one request, by construction. A Transport sends a request again when a kept connection turns
//     out to be closed, as soon as it believes that this is safe. A notification that arrives twice is not, and whether
//     to try again is for package retry to decide.
//   - Each failure has a type, made where it happens. The errors of a Transport have to be distinguished by their
//     texts, and *url.Error prints the whole URL.
//   - Whether the request had been written when the connection broke is known, and so whether the outcome is.
//   - Time limits are deadlines of the socket: a kept connection costs no goroutine, and a request at most one.
//
// It costs no more than a Transport that is tuned for many receivers; the benchmarks compare the two in one run. HTTP/2
// is left out: its requests share a connection and its failures, and what speaks HTTP/2 speaks HTTP/1.1 as well.
package netguard
