package natsqueue

import (
	"fmt"
	"time"
)

// ConfigError says what is wrong with a Config.
type ConfigError struct{ Field, Problem, Remedy string }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("natsqueue: Config.%s %s: %s", e.Field, e.Problem, e.Remedy)
}

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

// ServerError says that the server cannot do what the queue needs.
type ServerError struct{ Version string }

func (e *ServerError) Error() string {
	return fmt.Sprintf("natsqueue: NATS server %s has no message schedules: use version %s or newer", e.Version, leastServer)
}

// TooLargeError says that an event is larger than the server lets a message be. Nothing of its call was stored.
type TooLargeError struct {
	EventID string
	Size    int   // of the message, with 8 KiB for what a retry or a death adds
	Limit   int64 // the server's max_payload
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("natsqueue: event id %s: its message may need %d bytes, the server takes %d: raise max_payload or send less data",
		e.EventID, e.Size, e.Limit)
}

// StoreError says that JetStream did not confirm in time. What was asked may have been stored or not; asking again is
// safe.
type StoreError struct {
	After time.Duration // how long it was tried
	Err   error         // what it failed with last
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("natsqueue: not confirmed within %v; asking again is safe: %v", e.After.Round(time.Millisecond), e.Err)
}

// Unwrap returns what it failed with last.
func (e *StoreError) Unwrap() error { return e.Err }
