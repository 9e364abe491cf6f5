package dedup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storeTimeout bounds each call to the store, so that a store that hangs delays the message and does not lose it.
const storeTimeout = 5 * time.Second

// Once runs f unless key is done, and returns skipped = true and no error when it is.
//
//   - In flight elsewhere: f does not run; the error is *InFlightError.
//   - f succeeds: the key is committed for o.Window; err is nil. If that commit fails, err is nil all the same: an
//     error would have delivered work repeated, which is what this package is there to prevent. A repeat is then
//     possible.
//   - f fails: the key is released and f's error is returned as it is. A panic in f releases the key and goes on.
//   - The claim fails: f runs without one, or with o.FailClosed the error is *StoreError. If ctx is done by then, f
//     does not run and the error is *StoreError in either case.
//
// A claim may take 5 s, or a quarter of the time left to ctx's deadline if that is less, so that time is left for f
// when the store hangs. Commit and Release may take 5 s and do not see ctx's cancellation. Store failures that are not
// returned go to o.OnStoreError; a StoreError with ErrLost there means that f took longer than o.Lease.
func Once(ctx context.Context, s Store, key string, o Options, f func(ctx context.Context) error) (skipped bool, err error) {
	if err := o.Validate(); err != nil {
		return false, err
	}
	o = o.withDefaults()

	c, err := claimKey(ctx, s, key, o.Lease)
	if err != nil {
		if o.FailClosed || ctx.Err() != nil {
			return false, &StoreError{Op: opClaim, Err: err}
		}
		o.report(opClaim, err)
		return false, f(ctx)
	}
	switch c.State {
	case Done:
		return true, nil
	case InFlight:
		return false, &InFlightError{Remaining: c.Remaining}
	default:
		return false, runClaimed(ctx, s, key, c.Token, o, f)
	}
}

// claimKey claims within its share of the time. A state it does not know is a failure of the store.
func claimKey(ctx context.Context, s Store, key string, lease time.Duration) (Claim, error) {
	timeout := storeTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)/4)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := s.Claim(ctx, key, lease)
	if err == nil && c.State != Acquired && c.State != InFlight && c.State != Done {
		err = fmt.Errorf("dedup: the store answered with %v", c.State)
	}
	return c, err
}

// runClaimed runs f and settles the claim. The deferred call also settles it when f panics or ends its goroutine.
func runClaimed(ctx context.Context, s Store, key, token string, o Options, f func(ctx context.Context) error) (err error) {
	succeeded := false
	defer func() {
		// A shutdown cancels ctx; the outcome must be recorded all the same, or the key stays in flight until its lease
		// ends.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		if succeeded {
			if err := s.Commit(ctx, key, token, o.Window); err != nil {
				o.report(opCommit, err)
			}
		} else if err := s.Release(ctx, key, token); err != nil {
			o.report(opRelease, err)
		}
	}()
	err = f(ctx)
	succeeded = err == nil
	return err
}

// InFlightError says that another attempt for the key is running. Trying again after Remaining is never too early to
// find the claim settled or its lease ended; it may be settled sooner.
type InFlightError struct {
	Remaining time.Duration
}

func (e *InFlightError) Error() string {
	return fmt.Sprintf("dedup: another attempt with the same key is in flight, for %v at most", e.Remaining)
}

const (
	opClaim   = "claim"
	opCommit  = "commit"
	opRelease = "release"
)

// StoreError is a failure of the store. It does not contain the key.
type StoreError struct {
	Op  string // the call that failed: "claim", "commit" or "release"
	Err error
}

func (e *StoreError) Error() string { return fmt.Sprintf("dedup: %s failed: %v", e.Op, e.Err) }

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

const (
	defaultWindow = 2 * time.Hour
	defaultLease  = time.Minute
)

// Options tune Once. The zero value is useful.
type Options struct {
	// Window is how long a success suppresses repeats, from its commit. 0 = 2 hours.
	Window time.Duration
	// Lease is how long a claim excludes others when it is neither committed nor released, as after a crash.
	// 0 = 1 minute. Choose it longer than f can take: work that outlives its lease may be done twice.
	Lease time.Duration
	// FailClosed makes a failed claim an error. Default: f runs all the same, because a repeat is better than a loss.
	FailClosed bool
	// OnStoreError, if set, is called for each failure of the store that Once does not return: in Once's goroutine, so
	// it must be quick, and concurrently when Once runs concurrently.
	OnStoreError func(*StoreError)
}

// Validate returns an *OptionError for each field that cannot be used, joined. Once calls it; configuration code can
// too.
func (o Options) Validate() error {
	var errs []error
	if o.Window < 0 {
		errs = append(errs, &OptionError{Field: "Window", Value: o.Window})
	}
	if o.Lease < 0 {
		errs = append(errs, &OptionError{Field: "Lease", Value: o.Lease})
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	return o
}

func (o Options) report(op string, err error) {
	if o.OnStoreError != nil {
		o.OnStoreError(&StoreError{Op: op, Err: err})
	}
}

// OptionError says which field of Options is negative.
type OptionError struct {
	Field string
	Value time.Duration
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("dedup: Options.%s is %v; use a positive duration, or 0 for the default", e.Field, e.Value)
}
