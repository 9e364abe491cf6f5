package folderdocs

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
)

func TestMain(m *testing.M) {
	if managetest.Child(openChild) {
		return
	}
	goleak.VerifyTestMain(m)
}

// quick is how often tests look for changes.
const quick = 5 * time.Millisecond

func openChild(path string) (manage.Documents, func() error, error) {
	s, err := Open(context.Background(), path, Options{Poll: quick})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Poll: quick})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestConforms(t *testing.T) {
	t.Parallel()
	managetest.Run(t, managetest.Suite{
		New:   func(t *testing.T) manage.Documents { return openAt(t, t.TempDir()) },
		Close: func(d manage.Documents) error { return d.(*Store).Close() },
		Process: &managetest.Process{
			Store:  func(t *testing.T) string { return t.TempDir() },
			Open:   func(t *testing.T, store string) manage.Documents { return openAt(t, store) },
			Shared: true,
			Kills:  10,
		},
	})
}

func put(t *testing.T, s *Store, tenant, content string, expect manage.Revision) manage.Revision {
	t.Helper()
	r, err := s.Put(t.Context(), tenant, manage.Record{Content: []byte(content)}, expect)
	require.NoError(t, err)
	return r
}

// A file is one line of JSON and then the content as it is; nobody but the owner may read it.
func TestFile(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := openAt(t, path)
	put(t, s, "acme", "a: 1\nb: 2\n", 0)
	name := filepath.Join(path, "t-c5hmqp8.document")
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	line, content, _ := strings.Cut(string(b), "\n")
	assert.Equal(t, "a: 1\nb: 2\n", content)
	assert.JSONEq(t, `{"tocsin_document":1,"tenant":"YWNtZQ==","revision":1}`, line)
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// What a process that was killed has left is removed, and files of others are left alone.
func TestRemovesWhatWasLeft(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	for _, name := range []string{"tmp-ABC", "notes.txt", "t-.document", "t-zz.document", "h-1.document", "t-c5hmqp8.document.bak"} {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600))
	}
	s := openAt(t, path)
	assert.NoFileExists(t, filepath.Join(path, "tmp-ABC"))
	heads, err := s.List(t.Context(), "", 10)
	require.NoError(t, err)
	assert.Empty(t, heads)
	assert.FileExists(t, filepath.Join(path, "notes.txt"))
}

// A file that cannot be read concerns its tenant only, and is not overwritten.
func TestABrokenFile(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for what, line := range map[string]string{
		"empty":          "",
		"cut":            `{"tocsin_document":1,"ten`,
		"without an end": `{"tocsin_document":1,"tenant":"YQ==","revision":1}`,
		"another tenant": `{"tocsin_document":1,"tenant":"Yg==","revision":1}` + "\n",
		"newer":          `{"tocsin_document":2,"tenant":"YQ==","revision":1}` + "\n",
		"no document":    "secret: text\n",
		"endless":        strings.Repeat("secret", 10_000),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			s := openAt(t, path)
			put(t, s, "b", "fine", 0)
			file := filepath.Join(path, nameOf("a"))
			require.NoError(t, os.WriteFile(file, []byte(line), 0o600))
			_, get := s.Get(ctx, "a")
			_, put := s.Put(ctx, "a", manage.Record{}, 0)
			_, remove := s.Delete(ctx, "a", 1)
			for _, err := range []error{get, put, remove} {
				_, ok := errors.AsType[*FileError](err)
				require.True(t, ok, err)
				assert.Contains(t, err.Error(), `"a"`)
				assert.NotContains(t, err.Error(), "secret")
			}
			assert.ErrorIs(t, put, manage.ErrUnchanged)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, line, string(b))
			heads, err := s.List(ctx, "", 10)
			require.NoError(t, err)
			assert.Equal(t, []manage.Head{{Tenant: "a"}, {Tenant: "b", Revision: 1}}, heads)
			_, err = s.Get(ctx, "b")
			assert.NoError(t, err)
		})
	}
}

// Whoever edits the folder by hand is followed as well.
func TestWatchTellsFilesThatWereRemovedOrPutBack(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := openAt(t, path)
	file := filepath.Join(path, nameOf("a"))
	r := put(t, s, "a", "1", 0)
	old, err := os.ReadFile(file)
	require.NoError(t, err)
	r = put(t, s, "a", "2", r)
	changes, err := s.Watch(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".new", old, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	assert.Equal(t, manage.Change{Resync: true}, <-changes)
	require.NoError(t, os.Remove(file))
	assert.Equal(t, manage.Change{Resync: true}, <-changes)
	require.NoError(t, os.WriteFile(file, old, 0o600))
	assert.Equal(t, manage.Change{Head: manage.Head{Tenant: "a", Revision: 1}}, <-changes)
	assert.Equal(t, manage.Revision(2), r)
}

func TestOpenNeedsTheFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing")
	_, err := Open(t.Context(), path, Options{})
	_, ok := errors.AsType[*manage.StoreError](err)
	require.True(t, ok, err)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Contains(t, err.Error(), "create it")
}

// A look at a folder at rest reads one stat, whatever is in it; one that has just changed is looked at once more.
func TestFollowerRestsWithTheFolder(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	s := openAt(t, path)
	put(t, s, "a", "1", 0)
	f := follower{store: s, seen: map[string]seenFile{}}
	_, err := f.look(t.Context(), time.Now())
	require.NoError(t, err)
	assert.True(t, f.folder.IsZero(), "the next change may have the same time")
	_, err = f.look(t.Context(), time.Now().Add(settled+time.Minute))
	require.NoError(t, err)
	assert.False(t, f.folder.IsZero())
	assert.False(t, f.seen[nameOf("a")].changed.IsZero())
}

// FuzzName: names lead back to tenants, and no two tenants have one, whatever the file system makes of case.
func FuzzName(f *testing.F) {
	f.Add("a", "A")
	f.Add(strings.Repeat("a", 70), strings.Repeat("a", 71))
	f.Add("\x00", "\x00\x00")
	f.Add("con", "..")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" || len(a) > manage.MaxTenant || len(b) > manage.MaxTenant {
			return
		}
		for _, tenant := range []string{a, b} {
			name := nameOf(tenant)
			got, whole, ok := tenantOf(name)
			require.True(t, ok)
			require.Equal(t, len(tenant) <= longest, whole)
			if whole {
				require.Equal(t, tenant, got)
			}
			require.Less(t, len(name), 140)
			require.Regexp(t, `^[th]-[0-9a-v]+\.document$`, name)
		}
		require.Equal(t, a == b, strings.EqualFold(nameOf(a), nameOf(b)))
	})
}

// FuzzHeader: whatever is in a file, reading it ends in a header of that name or in an error.
func FuzzHeader(f *testing.F) {
	line, err := json.Marshal(header{Version: 1, Tenant: []byte("a"), Revision: 3})
	require.NoError(f, err)
	f.Add(append(line, '\n'))
	f.Add([]byte("{}\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		path := t.TempDir()
		s := &Store{path: path}
		require.NoError(t, os.WriteFile(filepath.Join(path, nameOf("a")), content, 0o600))
		h, ok, err := s.head(nameOf("a"))
		require.Equal(t, err == nil, ok)
		if ok {
			require.Equal(t, "a", string(h.Tenant))
		}
	})
}
