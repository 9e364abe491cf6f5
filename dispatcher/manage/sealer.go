package manage

import (
	"context"
	"errors"
	"fmt"
)

// Sealer encrypts documents before they are stored. Keys is one; a host with a key service writes its own. It is safe
// for concurrent use. What was sealed for one tenant must not open for another, and nothing that was altered may open.
// What Seal returns begins with the id of the key, so that Open finds old keys.
type Sealer interface {
	Seal(ctx context.Context, tenant string, content []byte) (sealed []byte, err error)
	Open(ctx context.Context, tenant string, sealed []byte) (content []byte, err error)
}

// Resealer is a Sealer that knows what its current key has sealed, for Reseal.
type Resealer interface {
	Sealer
	// Stale reports whether sealed was made with another key than Seal uses.
	Stale(sealed []byte) bool
}

// SealError says that a document could not be sealed, or does not open. Its text has no content.
type SealError struct {
	Tenant string
	Op     string // seal or open
	Err    error  // the Sealer's: *KeyError, ErrNotSealed and ErrAltered of Keys
}

func (e *SealError) Error() string {
	return fmt.Sprintf("manage: %s the document of tenant %q: %v", e.Op, e.Tenant, e.Err)
}

// Unwrap returns the Sealer's error.
func (e *SealError) Unwrap() error { return e.Err }

// sealedDocuments seals what is put and opens what is got.
type sealedDocuments struct {
	Documents
	sealer Sealer
}

// Sealed returns a store that keeps its documents in another one, sealed. List, Delete and Watch do not open anything,
// so one document that does not open disturbs nobody else's. Get of it is a *SealError; Put can replace it. Tenants and
// revisions are not sealed, and a document can be replaced by an older one of the same tenant by whoever may write to
// d.
func Sealed(d Documents, s Sealer) Documents { return sealedDocuments{d, s} }

// Get implements Documents.
func (d sealedDocuments) Get(ctx context.Context, tenant string) (Record, error) {
	r, err := d.Documents.Get(ctx, tenant)
	if err != nil {
		return Record{}, err
	}
	content, err := d.sealer.Open(ctx, tenant, r.Content)
	if err != nil {
		return Record{}, &SealError{Tenant: tenant, Op: "open", Err: err}
	}
	r.Content = content
	return r, nil
}

// Put implements Documents. A *SizeError counts the content as it was before it was sealed.
func (d sealedDocuments) Put(ctx context.Context, tenant string, r Record, expect Revision) (Revision, error) {
	if err := ValidateCall(ctx, tenant); err != nil {
		return 0, err
	}
	sealed, err := d.sealer.Seal(ctx, tenant, r.Content)
	if err != nil {
		return 0, Unchanged(&SealError{Tenant: tenant, Op: "seal", Err: err})
	}
	revision, err := d.Documents.Put(ctx, tenant, Record{Content: sealed}, expect)
	if tooBig, ok := errors.AsType[*SizeError](err); ok {
		most := tooBig.Max - (len(sealed) - len(r.Content))
		return 0, &SizeError{Tenant: tenant, Size: len(r.Content), Max: most}
	}
	return revision, err
}

// resealPage is how many tenants Reseal lists at a time.
const resealPage = 200

// Reseal seals those documents of d again that are Stale, and returns how many it stored: after it, no document needs
// an old key any more, provided that everybody else seals with the new one already. d is the store below Sealed. A
// document that does not open, or cannot be stored, is left as it is and does not stop the others; the errors are
// joined. One that somebody changes meanwhile is read again.
func Reseal(ctx context.Context, d Documents, s Resealer) (n int, err error) {
	var errs []error
	for after := ""; ; {
		page, err := d.List(ctx, after, resealPage)
		if err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		for _, head := range page {
			stored, err := reseal(ctx, d, s, head.Tenant)
			if stored {
				n++
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
		if len(page) < resealPage {
			return n, errors.Join(errs...)
		}
		after = page[len(page)-1].Tenant
	}
}

// reseal reports whether it stored the document of a tenant.
func reseal(ctx context.Context, d Documents, s Resealer, tenant string) (bool, error) {
	for {
		r, err := d.Get(ctx, tenant)
		if errors.Is(err, ErrNotFound) || err == nil && !s.Stale(r.Content) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		content, err := s.Open(ctx, tenant, r.Content)
		if err != nil {
			return false, &SealError{Tenant: tenant, Op: "open", Err: err}
		}
		_, err = Sealed(d, s).Put(ctx, tenant, Record{Content: content}, r.Revision)
		if _, conflict := errors.AsType[*ConflictError](err); !conflict {
			return err == nil, err
		}
	}
}
