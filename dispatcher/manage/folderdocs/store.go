// Package folderdocs stores documents as files in a folder, one for each tenant.
//
// Several processes may use a folder: a file in it, "lock", is locked during each change (flock; LockFileEx on
// Windows), and the system ends the lock of a process that was killed. The folder has to be on a local disk. A change
// is on the disk when its call returns; after a crash at any moment a document is the old one or the new one. A deleted
// document leaves a file of one line, so that its revisions go on. A first line of JSON in each file says whose it is;
// the content follows as it is. Whoever edits the folder by hand removes files, or puts them back from a copy, and
// leaves "lock".
package folderdocs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/internal/watch"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// DefaultPoll is that of Options.
const DefaultPoll = 500 * time.Millisecond

// Options configure a Store. The zero value is ready for use.
type Options struct {
	// Poll is how often each Watch looks for changes, of this process or another one; 0 = DefaultPoll. A look costs a
	// stat of the folder, and within two seconds of a change a stat of each file.
	Poll time.Duration
}

// Store is a manage.Documents in a folder. It takes documents of up to manage.MaxContent.
type Store struct {
	path     string
	poll     time.Duration
	scope    watch.Scope
	changing chan struct{} // has room for one: the caller that changes something
}

var _ manage.Documents = (*Store)(nil)

// Open opens the store in the folder at path, which has to be there. ctx is for opening only. The error is a
// *manage.StoreError.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if o.Poll <= 0 {
		o.Poll = DefaultPoll
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, &manage.StoreError{Op: "open", Err: err}
	}
	s := &Store{path: path, poll: o.Poll, changing: make(chan struct{}, 1)}
	if err := s.removeTemporary(ctx); err != nil {
		return nil, &manage.StoreError{Op: "open", Err: fmt.Errorf("folder %s cannot be used, create it or correct its permissions: %w", path, err)}
	}
	return s, nil
}

// removeTemporary removes what processes that were killed have left. Nobody writes meanwhile.
func (s *Store) removeTemporary(ctx context.Context) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	files, err := os.ReadDir(s.path)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		if strings.HasPrefix(f.Name(), temporaryPrefix) {
			errs = append(errs, os.Remove(filepath.Join(s.path, f.Name())))
		}
	}
	return errors.Join(errs...)
}

// Close closes the channels of Watch and waits for their goroutines. Calls after it are ErrClosed.
func (s *Store) Close() error {
	s.scope.Close()
	return nil
}

// validate checks a call.
func (s *Store) validate(ctx context.Context, tenant string) error {
	if err := manage.ValidateCall(ctx, tenant); err != nil {
		return err
	}
	if s.scope.Closed() {
		return manage.ErrClosed
	}
	return nil
}

// Get implements manage.Documents. A file that is no document is a *FileError in a *manage.StoreError.
func (s *Store) Get(ctx context.Context, tenant string) (manage.Record, error) {
	if err := s.validate(ctx, tenant); err != nil {
		return manage.Record{}, err
	}
	r, ok, err := s.read(tenant)
	if err != nil {
		return manage.Record{}, &manage.StoreError{Op: "get", Tenant: tenant, Err: err}
	}
	if !ok {
		return manage.Record{}, manage.ErrNotFound
	}
	return r, nil
}

// List implements manage.Documents. It reads the names of all files, and the first lines of those of the page. A tenant
// whose file is no document is listed with revision 0, so that Get says why; one of more than 70 bytes is left out, as
// its file alone says who it is.
func (s *Store) List(ctx context.Context, after string, limit int) ([]manage.Head, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.scope.Closed() {
		return nil, manage.ErrClosed
	}
	tenants, err := s.tenants()
	if err != nil {
		return nil, &manage.StoreError{Op: "list", Err: err}
	}
	first, found := slices.BinarySearch(tenants, after)
	if found {
		first++
	}
	heads := []manage.Head{}
	for _, tenant := range tenants[first:] {
		if len(heads) >= max(limit, 1) {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, ok, err := s.head(nameOf(tenant))
		_, broken := errors.AsType[*FileError](err)
		switch {
		case err != nil && !broken:
			return nil, &manage.StoreError{Op: "list", Tenant: tenant, Err: err}
		case broken || ok && !h.Deleted:
			heads = append(heads, manage.Head{Tenant: tenant, Revision: h.Revision})
		}
	}
	return heads, nil
}

// tenants returns who has a file, sorted.
func (s *Store) tenants() ([]string, error) {
	folder, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	names, err := folder.Readdirnames(-1)
	if err = errors.Join(err, folder.Close()); err != nil {
		return nil, err
	}
	tenants := make([]string, 0, len(names))
	for _, name := range names {
		tenant, whole, ok := tenantOf(name)
		if ok && !whole {
			h, there, err := s.head(name)
			if _, broken := errors.AsType[*FileError](err); err != nil && !broken {
				return nil, err
			}
			tenant, ok = string(h.Tenant), there
		}
		if ok {
			tenants = append(tenants, tenant)
		}
	}
	slices.Sort(tenants)
	return tenants, nil
}

// Put implements manage.Documents.
func (s *Store) Put(ctx context.Context, tenant string, r manage.Record, expect manage.Revision) (manage.Revision, error) {
	if len(r.Content) > manage.MaxContent {
		return 0, &manage.SizeError{Tenant: tenant, Size: len(r.Content), Max: manage.MaxContent}
	}
	return s.replace(ctx, "put", header{Tenant: []byte(tenant)}, r.Content, expect)
}

// Delete implements manage.Documents.
func (s *Store) Delete(ctx context.Context, tenant string, expect manage.Revision) (manage.Revision, error) {
	return s.replace(ctx, "delete", header{Tenant: []byte(tenant), Deleted: true}, nil, expect)
}

// replace compares revisions and writes a file.
func (s *Store) replace(ctx context.Context, op string, h header, content []byte, expect manage.Revision) (manage.Revision, error) {
	tenant := string(h.Tenant)
	if err := s.validate(ctx, tenant); err != nil {
		return 0, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return 0, manage.Unchanged(storeError(ctx, op, tenant, err))
	}
	defer unlock()
	stored, _, err := s.head(nameOf(tenant))
	if err != nil {
		return 0, manage.Unchanged(storeError(ctx, op, tenant, err))
	}
	current := stored.Revision
	if stored.Deleted {
		current = 0
	}
	if current != expect || current == 0 && h.Deleted {
		return 0, &manage.ConflictError{Tenant: tenant, Expected: expect, Current: current}
	}
	h.Revision = stored.Revision + 1
	if err := s.write(h, content); err != nil {
		return 0, storeError(ctx, op, tenant, err)
	}
	return h.Revision, nil
}

// storeError makes err a *manage.StoreError unless it is ctx's.
func storeError(ctx context.Context, op, tenant string, err error) error {
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return err
	}
	return &manage.StoreError{Op: op, Tenant: tenant, Err: err}
}

// Watch implements manage.Documents. A file that somebody has removed is told as Resync.
func (s *Store) Watch(ctx context.Context) (<-chan manage.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := follower{store: s, seen: map[string]seenFile{}}
	if _, err := f.look(ctx, time.Now()); err != nil {
		return nil, storeError(ctx, "watch", "", err)
	}
	changes, ok := watch.Poll(ctx, &s.scope, s.poll, f.next)
	if !ok {
		return nil, manage.ErrClosed
	}
	return changes, nil
}
