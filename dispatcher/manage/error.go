package manage

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnchanged is matched, by errors.Is, by every error of Put and Delete after which the stored document is certainly
// as it was: *ConflictError, *SizeError, *TenantError, ErrClosed, and what Unchanged returns. After any other error the
// outcome is unknown.
var ErrUnchanged = errors.New("manage: nothing was changed")

// Errors of stores. They match ErrUnchanged.
var (
	ErrNotFound = Unchanged(errors.New("manage: the tenant has no document"))
	ErrClosed   = Unchanged(errors.New("manage: the store of documents is closed"))
)

// Unchanged marks an error of a store: it matches ErrUnchanged, and is otherwise err. nil stays nil.
func Unchanged(err error) error {
	if err == nil || errors.Is(err, ErrUnchanged) {
		return err
	}
	return unchangedError{err}
}

type unchangedError struct{ error }

func (e unchangedError) Unwrap() error { return e.error }

func (unchangedError) Is(target error) bool { return target == ErrUnchanged }

// ConflictError says that another revision is stored than the one expected: read the document again and repeat the
// edit.
type ConflictError struct {
	Tenant   string
	Expected Revision
	Current  Revision // 0 = the tenant has no document
}

func (e *ConflictError) Error() string {
	if e.Current == 0 {
		return fmt.Sprintf("manage: tenant %q has no document, where revision %d was expected: read again who has one", e.Tenant, e.Expected)
	}
	return fmt.Sprintf("manage: the document of tenant %q has revision %d, where %d was expected: read it and edit it again",
		e.Tenant, e.Current, e.Expected)
}

// Is reports whether target is ErrUnchanged.
func (*ConflictError) Is(target error) bool { return target == ErrUnchanged }

// SizeError says that a document is larger than the store takes.
type SizeError struct {
	Tenant    string
	Size, Max int // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("manage: the document of tenant %q has %d bytes, and the store takes %d: make it smaller", e.Tenant, e.Size, e.Max)
}

// Is reports whether target is ErrUnchanged.
func (*SizeError) Is(target error) bool { return target == ErrUnchanged }

// TenantError says that a tenant is empty or longer than MaxTenant.
type TenantError struct{ Size int } // bytes

func (e *TenantError) Error() string {
	return fmt.Sprintf("manage: a tenant of %d bytes cannot have a document: use 1 to %d", e.Size, MaxTenant)
}

// Is reports whether target is ErrUnchanged.
func (*TenantError) Is(target error) bool { return target == ErrUnchanged }

// StoreError says that a store could not be read or written. Its text has neither content nor credentials.
type StoreError struct {
	Op     string // get, list, put, delete, watch, or open
	Tenant string // "" = none in particular
	Err    error
}

func (e *StoreError) Error() string {
	of := "documents"
	if e.Tenant != "" {
		of = fmt.Sprintf("the document of tenant %q", e.Tenant)
	}
	return fmt.Sprintf("manage: %s %s: %v", e.Op, of, e.Err)
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// ValidateCall is what a store checks first: it returns a *TenantError, or ctx's error if that is done, both of which
// match ErrUnchanged.
func ValidateCall(ctx context.Context, tenant string) error {
	if len(tenant) < 1 || len(tenant) > MaxTenant {
		return &TenantError{Size: len(tenant)}
	}
	return Unchanged(ctx.Err())
}
