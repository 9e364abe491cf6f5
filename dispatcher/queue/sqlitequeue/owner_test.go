package sqlitequeue

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openOnly makes the test program open the queue at that path, say how it went, and end.
const openOnly = "SQLITEQUEUE_OPEN_ONLY"

func openOnlyChild(path string) {
	q, err := openAnyhow(path)
	if err == nil {
		err = q.Close()
	}
	fmt.Printf("%T: %v", err, err) //nolint:forbidigo // what the parent reads
}

// requireRefused opens a file that is owned, here and in another process, under a name.
func requireRefused[E error](t *testing.T, path string) {
	t.Helper()
	q, err := openAnyhow(path)
	if err == nil {
		_ = q.Close()
	}
	require.Error(t, err, "a second owner in this process")
	_, ok := errors.AsType[E](err)
	require.True(t, ok, "in this process: %T: %v", err, err)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), openOnly+"="+path)
	out, err := child.CombinedOutput()
	require.NoError(t, err, string(out))
	var want E
	assert.True(t, strings.HasPrefix(string(out), fmt.Sprintf("%T: ", want)), "in another process: %s", out)
}

// stillOwner checks that a queue was not disturbed.
func stillOwner(t *testing.T, q *Queue, id string) {
	t.Helper()
	require.NoError(t, q.Enqueue(t.Context(), job(id, "a")))
}

func needsFileLocks(t *testing.T) {
	t.Helper()
	if !locksFiles {
		t.Skip("the file itself is locked on Linux only")
	}
}

func TestOneOwnerWhateverTheName(t *testing.T) {
	t.Parallel()
	t.Run("the same name", func(t *testing.T) {
		t.Parallel()
		q := newQueue(t)
		requireRefused[*LockedError](t, q.store.path)
		stillOwner(t, q, "e")
	})
	t.Run("a link that was there before the file", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		file, link := filepath.Join(folder, "queue.db"), filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(file, link))
		q := openAt(t, link)
		assert.Equal(t, file, q.store.path)
		requireRefused[*LockedError](t, file)
		requireRefused[*LockedError](t, link)
		stillOwner(t, q, "e")
	})
	t.Run("a relative link to a link, through a linked folder", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(folder, "data"), 0o700))
		require.NoError(t, os.Symlink("data", filepath.Join(folder, "current")))
		require.NoError(t, os.Symlink(filepath.Join("current", "second"), filepath.Join(folder, "first")))
		require.NoError(t, os.Symlink("queue.db", filepath.Join(folder, "data", "second")))
		q := openAt(t, filepath.Join(folder, "first"))
		assert.Equal(t, filepath.Join(folder, "data", "queue.db"), q.store.path)
		requireRefused[*LockedError](t, filepath.Join(folder, "data", "queue.db"))
	})
	t.Run("links in a circle", func(t *testing.T) {
		t.Parallel()
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(link, link))
		_, err := openAnyhow(link)
		require.ErrorIs(t, err, errTooManyLinks)
	})
	t.Run("without the lock beside it", func(t *testing.T) {
		t.Parallel()
		needsFileLocks(t)
		q := newQueue(t)
		require.NoError(t, os.Remove(q.store.path+lockSuffix))
		requireRefused[*LockedError](t, q.store.path)
		stillOwner(t, q, "e")
	})
	t.Run("a hard link", func(t *testing.T) {
		t.Parallel()
		q := newQueue(t)
		other := filepath.Join(t.TempDir(), "other.db")
		require.NoError(t, os.Link(q.store.path, other))
		requireOneOwner(t, q.store.path)
		requireOneOwner(t, other)
		stillOwner(t, q, "e")
		require.NoError(t, q.Close())
		requireRefused[*LinkedError](t, other)
		requireRefused[*LinkedError](t, q.store.path)
		require.NoError(t, os.Remove(other))
		openAt(t, q.store.path)
	})
	t.Run("a new name", func(t *testing.T) {
		t.Parallel()
		needsFileLocks(t)
		path := newPath(t)
		q, err := Open(t.Context(), path, Options{})
		require.NoError(t, err)
		other := filepath.Join(filepath.Dir(path), "other.db")
		require.NoError(t, os.Rename(path, other))
		requireRefused[*LockedError](t, other)
		require.ErrorIs(t, q.Close(), ErrMoved)
		openAt(t, other)
	})
	// POSIX locks end when the process closes the file through any descriptor.
	for _, suffix := range []string{lockSuffix, ""} {
		t.Run("the owner's process reads the file and closes it: "+suffix, func(t *testing.T) {
			t.Parallel()
			needsFileLocks(t)
			q := newQueue(t)
			_, err := os.ReadFile(q.store.path + suffix)
			require.NoError(t, err)
			requireRefused[*LockedError](t, q.store.path)
			stillOwner(t, q, "e")
		})
	}
}

// requireOneOwner accepts any refusal: which it is depends on the name.
func requireOneOwner(t *testing.T, path string) {
	t.Helper()
	_, err := openAnyhow(path)
	_, locked := errors.AsType[*LockedError](err)
	_, linked := errors.AsType[*LinkedError](err)
	assert.True(t, locked || linked, "%T: %v", err, err)
}

// TestMovedFile: what is written to a file that a restart does not find is not acknowledged.
func TestMovedFile(t *testing.T) {
	t.Parallel()
	move := func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".old")) }
	remove := func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }
	replace := func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+".new", b, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		for name, spoil := range map[string]func(*testing.T, string){"moved": move, "removed": remove, "replaced": replace} {
			t.Run("queue.db"+suffix+" "+name, func(t *testing.T) {
				t.Parallel()
				book, o := logged()
				q, err := Open(t.Context(), newPath(t), o)
				require.NoError(t, err)
				require.NoError(t, q.Enqueue(t.Context(), job("before", "a")))
				spoil(t, q.store.path+suffix)
				err = q.Enqueue(t.Context(), job("after", "a"))
				var bad *StoreError
				require.ErrorAs(t, err, &bad)
				require.ErrorIs(t, err, ErrMoved)
				require.ErrorContains(t, err, q.store.path+suffix)
				require.ErrorContains(t, err, "put the file back")
				require.ErrorIs(t, q.Enqueue(t.Context(), job("after", "a")), ErrMoved, "for good")
				_, err = q.Cancel(t.Context(), "a", "k")
				require.ErrorIs(t, err, ErrMoved)
				assert.Equal(t, 1, book.lines("level=ERROR"))
				require.ErrorIs(t, q.Close(), ErrMoved)
			})
		}
	}
	t.Run("nothing written since", func(t *testing.T) {
		t.Parallel()
		q, err := Open(t.Context(), newPath(t), Options{})
		require.NoError(t, err)
		require.NoError(t, os.Remove(q.store.path))
		require.ErrorIs(t, q.Close(), ErrMoved)
	})
}

func TestMissingFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "missing")
	_, err := openAnyhow(filepath.Join(folder, "queue.db"))
	require.ErrorIs(t, err, ErrReadOnly)
	require.ErrorIs(t, err, os.ErrNotExist)
	var missing *FolderError
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, folder, missing.Folder)
	assert.ErrorContains(t, err, folder)
	assert.ErrorContains(t, err, "create it")
}

// TestOpenErrorsNameTheFile: a host may have several.
func TestOpenErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	_, err := openAnyhow(folder)
	require.ErrorContains(t, err, folder, "a folder where the file should be")
	path := filepath.Join(folder, "queue.db")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	_, err = openAnyhow(path)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, path)
}
