// Package dedup suppresses repeats of work that has already succeeded.
//
// A key is claimed before the work and committed after it. Marking a key before the work, in one step, would lose
// the message whose first attempt fails: its retry would look like a repeat. Here a failure releases the claim, so
// it suppresses neither its own retry nor a later identical message.
//
// [Once] claims, commits and releases around a function, [Key] makes keys, [Memory] is a [Store] for one process.
// Package deduptest has the conformance suite for other stores.
package dedup

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Errors that every Store uses. They may be wrapped: compare with errors.Is.
var (
	// ErrLost says that a token does not own its key: the lease has ended, or the claim was committed or released.
	ErrLost = errors.New("dedup: the claim is no longer held by this token")
	// ErrEmptyKey refuses the empty key. A key function that finds no id returns it, and all such messages would be
	// taken for repeats of each other.
	ErrEmptyKey = errors.New("dedup: the key is empty")
	// ErrDuration refuses a lease or a time to live that is zero or negative.
	ErrDuration = errors.New("dedup: lease and time to live must be positive")
	// ErrFull says that a bounded store has no room because every key it holds is in flight.
	ErrFull = errors.New("dedup: the store is full of claims in flight")
)

// Store keeps the keys of work in flight and work done. Implementations are safe for concurrent use.
//
// A key is any non-empty string of any bytes; a store that cannot hold it as it is hashes it. Durations finer than
// the store's clock are rounded up. When ctx is done before a call, the call returns ctx's error and changes nothing.
// Errors never contain the key. Package deduptest checks these rules.
type Store interface {
	// Claim takes key for at most lease, unless it is in flight or done. It is atomic: of any number of concurrent
	// calls for a free key exactly one gets Acquired. Claiming a taken key prolongs nothing.
	Claim(ctx context.Context, key string, lease time.Duration) (Claim, error)
	// Commit marks the claimed key as done for ttl from now. It returns ErrLost, and changes nothing, when token does
	// not own key: from the moment the lease ends, also if nobody else has claimed the key, and after Commit or
	// Release.
	Commit(ctx context.Context, key, token string, ttl time.Duration) error
	// Release frees the claimed key at once. ErrLost as for Commit.
	Release(ctx context.Context, key, token string) error
}

// ValidateCall returns what every call of a Store refuses: ctx's error when it is done, ErrEmptyKey, or ErrDuration for
// a lease or time to live below 1. It is for those who write stores; Release, which has no duration, passes 1.
func ValidateCall(ctx context.Context, key string, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == "" {
		return ErrEmptyKey
	}
	if d <= 0 {
		return ErrDuration
	}
	return nil
}

// Claim is what a Store knows of a key.
type Claim struct {
	State State
	// Token proves ownership to Commit and Release. Set with Acquired only, and never given out twice by a store.
	Token string
	// Remaining is the time until the other's lease ends (InFlight) or until the window ends (Done). Positive then,
	// zero with Acquired.
	Remaining time.Duration
}

// State says what a claim found. The zero State is none of them, so that a zero Claim cannot pass for an acquired one.
type State int

const (
	Acquired State = iota + 1 // the key was free and is now the caller's
	InFlight                  // another claim holds it
	Done                      // it was committed and its window has not ended
)

// String names the state for people.
func (s State) String() string {
	switch s {
	case Acquired:
		return "acquired"
	case InFlight:
		return "in flight"
	case Done:
		return "done"
	default:
		return fmt.Sprintf("unknown state %d", int(s))
	}
}

// Key makes a key of parts: SHA-256 over each part preceded by its length, as 43 characters of unpadded base64url.
//
// Different lists of parts give different keys: bytes cannot move from one part to the next unnoticed, and an empty
// part counts. The same parts give the same key in every process and release, so keys can be stored and shared.
func Key(parts ...[]byte) string {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0]))
}
