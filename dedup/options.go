package dedup

import (
	"fmt"
	"time"
)

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
	// OnStoreError, if set, is told of each failure of the store that Once does not return. It is called in Once's
	// goroutine, so it must be quick, and from many goroutines when Once is.
	OnStoreError func(*StoreError)
}

// Validate returns an *OptionError for the first field that cannot be used. Once calls it; configuration code can too.
func (o Options) Validate() error {
	if o.Window < 0 {
		return &OptionError{Field: "Window", Value: o.Window}
	}
	if o.Lease < 0 {
		return &OptionError{Field: "Lease", Value: o.Lease}
	}
	return nil
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
