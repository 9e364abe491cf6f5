package folderdocs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// follower finds what has changed in a folder since it last looked.
type follower struct {
	store  *Store
	folder time.Time // when the folder had last changed; zero = look at each file
	seen   map[string]seenFile
}

// seenFile is what was known of a file.
type seenFile struct {
	changed  time.Time // zero = read it again
	size     int64
	revision manage.Revision
}

// settled is how old the time of a change must be before it tells the next change apart: file systems count time in
// steps of up to two seconds.
const settled = 2 * time.Second

// next returns the changes since the last look. What cannot be read is looked at again the next time.
func (f *follower) next(ctx context.Context) []manage.Change {
	changes, err := f.look(ctx, time.Now())
	if err != nil {
		f.folder = time.Time{}
	}
	return changes
}

func (f *follower) look(ctx context.Context, now time.Time) (changes []manage.Change, err error) {
	info, err := os.Stat(f.store.path)
	if err != nil {
		return nil, err
	}
	if info.ModTime().Equal(f.folder) {
		return nil, nil
	}
	f.folder = unsettled(info.ModTime(), now)
	files, err := os.ReadDir(f.store.path)
	if err != nil {
		return nil, err
	}
	left := make(map[string]bool, len(files))
	for _, file := range files {
		name := file.Name()
		if _, _, ok := tenantOf(name); !ok {
			continue
		}
		left[name] = true
		if err := ctx.Err(); err != nil {
			return changes, err
		}
		c, ok, broken := f.lookAt(name, now)
		if ok {
			changes = append(changes, c)
		}
		err = errors.Join(err, broken)
	}
	for name := range f.seen {
		if !left[name] {
			delete(f.seen, name)
			changes = append(changes, manage.Change{Resync: true})
		}
	}
	return changes, err
}

// lookAt returns the change of a file, if there is one.
func (f *follower) lookAt(name string, now time.Time) (c manage.Change, ok bool, err error) {
	info, err := os.Lstat(filepath.Join(f.store.path, name))
	if errors.Is(err, os.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	before, known := f.seen[name]
	if known && info.ModTime().Equal(before.changed) && info.Size() == before.size {
		return c, false, nil
	}
	h, there, err := f.store.head(name)
	if _, broken := errors.AsType[*FileError](err); broken {
		err = nil // Get says it
	}
	if err != nil || !there {
		return c, false, err
	}
	f.seen[name] = seenFile{unsettled(info.ModTime(), now), info.Size(), h.Revision}
	if known && h.Revision == before.revision {
		return c, false, nil
	}
	// A file that was put back from a copy has an older revision than was told.
	if h.Revision < before.revision {
		return manage.Change{Resync: true}, true, nil
	}
	return manage.Change{Head: manage.Head{Tenant: string(h.Tenant), Revision: h.Revision}}, true, nil
}

// unsettled is a time of change, or zero if it is too fresh to tell the next one apart.
func unsettled(changed, now time.Time) time.Time {
	if now.Sub(changed) < settled {
		return time.Time{}
	}
	return changed
}
