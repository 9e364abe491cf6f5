package sqlitequeue

import (
	"context"
	"errors"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// documents keeps tenants' documents in the queue's file.
type documents struct{ queue *Queue }

var _ manage.Documents = documents{}

// Documents returns the store of tenants' documents in the queue's file, of up to manage.MaxContent each. The file
// belongs to one process, so Watch tells what this one has changed, at once. A change is on the disk when its call
// returns, and is refused, as events are, when it would take the room that outcomes need. A change whose ctx ends
// during the call may be stored all the same, and is told then. After Close of the queue its calls are
// manage.ErrClosed.
func (q *Queue) Documents() manage.Documents { return documents{q} }

// Get implements manage.Documents.
func (d documents) Get(ctx context.Context, tenant string) (r manage.Record, err error) {
	if err := manage.ValidateCall(ctx, tenant); err != nil {
		return r, err
	}
	found := false
	err = d.queue.store.readers.inspect.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			r, found = manage.Record{Revision: manage.Revision(integer(v[0])), Content: append([]byte{}, blob(v[1])...)}, true
			return false
		}, "SELECT revision, content FROM document WHERE tenant = ? AND deleted = 0", []byte(tenant))
	})
	if err != nil {
		return manage.Record{}, documentError("read a document", err)
	}
	if !found {
		return manage.Record{}, manage.ErrNotFound
	}
	return r, nil
}

// List implements manage.Documents.
func (d documents) List(ctx context.Context, after string, limit int) ([]manage.Head, error) {
	heads := []manage.Head{}
	err := d.queue.store.readers.inspect.read(ctx, func(c *conn) error {
		return c.each(func(v []driverValue) bool {
			heads = append(heads, manage.Head{Tenant: string(blob(v[0])), Revision: manage.Revision(integer(v[1]))})
			return true
		}, "SELECT tenant, revision FROM document INDEXED BY document_list WHERE deleted = 0 AND tenant > ? ORDER BY tenant LIMIT ?",
			[]byte(after), int64(max(limit, 1)))
	})
	return heads, documentError("list documents", err)
}

// Put implements manage.Documents.
func (d documents) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if len(r.Content) > manage.MaxContent {
		return 0, &manage.SizeError{Tenant: tenant, Size: len(r.Content), Max: manage.MaxContent}
	}
	return d.replace(ctx, "store a document", documentChange{tenant: tenant, content: append([]byte{}, r.Content...), expect: expect})
}

// Delete implements manage.Documents.
func (d documents) Delete(ctx context.Context, tenant string, expect manage.Revision) (manage.Revision, error) {
	return d.replace(ctx, "delete a document", documentChange{tenant: tenant, content: []byte{}, deleted: true, expect: expect})
}

// documentChange is one change of a document, and what came of it.
type documentChange struct {
	tenant  string
	content []byte
	deleted bool
	expect  manage.Revision

	revision manage.Revision // the new one
	err      error
}

// replace makes a change. The transaction goes its way also when ctx is done, so that watchers are told of it.
func (d documents) replace(ctx context.Context, op string, c documentChange) (manage.Revision, error) {
	if err := manage.ValidateCall(ctx, c.tenant); err != nil {
		return 0, err
	}
	done := make(chan documentChange, 1)
	go func() {
		err := d.queue.add(context.WithoutCancel(ctx), op, 1, len(c.content), func(t *tx) error { return t.changeDocument(&c) })
		if err != nil {
			c.err = documentError(op, err)
		}
		if c.err == nil {
			d.queue.watches.Publish(c.tenant, uint64(c.revision), manage.Change{Head: manage.Head{Tenant: c.tenant, Revision: c.revision}})
		}
		done <- c
	}()
	select {
	case c := <-done:
		return c.revision, c.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// changeDocument stores a change, unless another revision is stored than it expects.
func (t *tx) changeDocument(c *documentChange) error {
	var latest, current manage.Revision
	err := t.each(func(v []driverValue) bool {
		latest = manage.Revision(integer(v[0]))
		if integer(v[1]) == 0 {
			current = latest
		}
		return false
	}, "SELECT revision, deleted FROM document WHERE tenant = ?", []byte(c.tenant))
	if err != nil {
		return err
	}
	c.revision, c.err = 0, nil
	if current != c.expect || current == 0 && c.deleted {
		c.err = &manage.ConflictError{Tenant: c.tenant, Expected: c.expect, Current: current}
		return nil
	}
	c.revision = latest + 1
	deleted := int64(0)
	if c.deleted {
		deleted = 1
	}
	_, err = t.exec(`INSERT INTO document (tenant, revision, deleted, content) VALUES (?, ?, ?, ?)
		ON CONFLICT (tenant) DO UPDATE SET revision = excluded.revision, deleted = excluded.deleted, content = excluded.content`,
		[]byte(c.tenant), int64(c.revision), deleted, c.content)
	return err
}

// Watch implements manage.Documents.
func (d documents) Watch(ctx context.Context) (<-chan manage.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	changes, ok := d.queue.watches.Subscribe(ctx)
	if !ok {
		return nil, manage.ErrClosed
	}
	return changes, nil
}

// documentError is storeError in the words of package manage.
func documentError(op string, err error) error {
	if errors.Is(err, ErrClosed) {
		return manage.ErrClosed
	}
	return storeError(op, err)
}
