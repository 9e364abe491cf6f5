package manage

import "context"

// Revision orders the versions of one tenant's document: it grows with each change, also over Delete and a later Put.
// By how much is the store's business, and those of two tenants do not compare. 0 is that of a tenant that never had a
// document.
type Revision uint64

// Record is what is stored for a tenant: bytes that the store does not look into.
type Record struct {
	Revision Revision // ignored by Put
	Content  []byte
}

// Head tells which revision of a tenant's document is stored.
type Head struct {
	Tenant   string
	Revision Revision
}

// Change tells that a tenant's document has that revision, or a later one, and may be deleted by then. With Resync set
// it tells that changes may have been missed: whoever follows compares List with what it has.
type Change struct {
	Head
	Resync bool
}

// Limits of stores.
const (
	MaxTenant  = 255      // bytes of a tenant
	MaxContent = 16 << 20 // bytes of a document, unless the store says that it takes less
)

// Documents stores one document for each tenant. All methods are safe for concurrent use, and by several processes
// where the store says so. With ctx done they return its error. A tenant is any text of 1 to MaxTenant bytes; others
// are refused with a *TenantError. Errors contain no content and no credentials. After the store is closed they are
// ErrClosed. Package managetest checks an implementation.
//
// Stores for one process are Memory, and Documents of the queue in package sqlitequeue; for several there are packages
// folderdocs, natsdocs and postgresdocs. In each of them a deleted document leaves a few bytes, so that its revisions
// go on. Sealed encrypts what any of them keeps; without it, content is stored as it is.
type Documents interface {
	// Get returns a tenant's document as the last Put that returned wrote it, or ErrNotFound. The content is the
	// caller's to keep and to change.
	Get(ctx context.Context, tenant string) (Record, error)
	// List returns who has a document, in the order of the tenants' bytes, beginning behind after, at most limit of
	// them; fewer are the last ones. limit is at least 1. Who has one throughout is in one page of a complete walk,
	// once.
	List(ctx context.Context, after string, limit int) ([]Head, error)
	// Put stores a document in the place of the revision expected, which is 0 where there is none, and returns its
	// revision. It keeps nothing of r. If another one is stored, it is a *ConflictError. Larger content than the store
	// takes is a *SizeError. After an error that is not ErrUnchanged, it is unknown which of both is stored, or will
	// be: Get tells, once the call cannot be under way any more.
	Put(ctx context.Context, tenant string, r Record, expect Revision) (Revision, error)
	// Delete removes a document of the revision expected, and returns the revision of the removal. Errors are those of
	// Put: where there is no document, it is a *ConflictError whose Current is 0.
	Delete(ctx context.Context, tenant string, expect Revision) (Revision, error)
	// Watch tells of changes from now on, by any process: of each tenant's latest at least once, never an older one
	// after a newer one, deletions too. The channel is closed when ctx is done, or the store closed. Who is slow gets
	// fewer changes, and delays nobody.
	Watch(ctx context.Context) (<-chan Change, error)
}
