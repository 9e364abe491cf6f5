// Package outbox dispatches events if and only if the host's own transaction commits: they are rows of its database until
// a [Relay] hands them to a Dispatcher.
package outbox
