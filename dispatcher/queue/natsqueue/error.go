package natsqueue

import (
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// VersionError says that a stream was set up by a newer version of this package, or by somebody else.
type VersionError struct {
	Stream string
	Found  string // the version written at the stream; "" = none
}

func (e *VersionError) Error() string {
	if e.Found == "" {
		return fmt.Sprintf("natsqueue: stream %q is not one of this package: choose another Config.Name", e.Stream)
	}
	return fmt.Sprintf("natsqueue: stream %q has version %s, this program knows %d: update the program", e.Stream, e.Found, setupVersion)
}

// ServerError says that the servers cannot do what the queue needs: they have no message schedules, or serve no
// JetStream to the account of the connection.
type ServerError struct {
	Version string // of the server that has no message schedules
	Err     error  // what the servers that serve no JetStream said; nil = they do
}

func (e *ServerError) Error() string {
	if e.Err != nil {
		return "natsqueue: the NATS servers serve no JetStream to this account: add a jetstream block to their configuration and " +
			"enable it for the account: " + e.Err.Error()
	}
	return fmt.Sprintf("natsqueue: NATS server %s has no message schedules: use version %s or newer", e.Version, leastServer)
}

// Unwrap returns what the servers said.
func (e *ServerError) Unwrap() error { return e.Err }

// TooLargeError says that an event is larger than the server lets a message be. Nothing of its call was stored.
type TooLargeError struct {
	EventID string
	Size    int   // of the message, with 8 KiB for what a retry or a dead letter adds
	Limit   int64 // the server's max_payload
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("natsqueue: event id %s: its message may need %d bytes, the server takes %d: raise max_payload or send less data",
		e.EventID, e.Size, e.Limit)
}

// RefusedError says that JetStream does not store a message, for a reason that asking again does not change.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string {
	return "natsqueue: JetStream refuses to store it: " + e.Err.Error() + ": remove the limit from the stream or the account"
}

// Unwrap returns JetStream's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// StoreError says that JetStream did not confirm in time. What was asked may have been stored or not; asking again is
// safe.
type StoreError struct {
	After time.Duration // how long it was tried
	Err   error         // what it failed with last
}

func (e *StoreError) Error() string {
	remedy := ""
	if jsapi.IsFull(e.Err) {
		remedy = ": make room, or raise the limit of the servers, the account or the stream"
	}
	return fmt.Sprintf("natsqueue: not confirmed within %v; asking again is safe: %v%s", e.After.Round(time.Millisecond), e.Err, remedy)
}

// Unwrap returns what it failed with last.
func (e *StoreError) Unwrap() error { return e.Err }
