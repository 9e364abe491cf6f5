package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lockSuffix is added to a file's name for the lock beside it.
const lockSuffix = "-lock"

// owner is the proof that a file belongs to this queue, and to no other, in this process or another one, under whatever
// name. It rests on three locks, because each has a gap:
//
//   - An exclusive transaction on an empty SQLite database beside the file. It works wherever SQLite does, and earlier
//     versions of this package respect it. But that file can be removed, it goes by the name that was used, and where
//     it is a POSIX lock, it is gone as soon as anything in this process closes the file.
//   - A lock on the database file itself that belongs to the open file and not to the process; Linux only, see
//     lockFile.
//   - The list of files that this process owns. Without it, a second queue of the same process would have to open the
//     file in order to find it locked, and by closing it would drop the POSIX locks that SQLite has on it.
type owner struct {
	path  string
	lock  *conn
	file  *os.File
	info  os.FileInfo   // of file
	files []watchedFile // what must not be replaced while it is open
}

type watchedFile struct {
	path string
	info os.FileInfo // of the last check
}

// logSize is how large the log was then.
func (o *owner) logSize() int64 {
	for _, f := range o.files {
		if f.path == o.path+"-wal" {
			return f.info.Size()
		}
	}
	return 0
}

// owned lists the files that queues of this process own.
//
//nolint:gochecknoglobals // POSIX locks belong to the process and the file, so only the whole process can know of them
var owned struct {
	mu    sync.Mutex
	files []os.FileInfo
}

// own takes possession of the file at path, which it creates if there is none.
func own(ctx context.Context, path string) (*owner, error) {
	lock, err := lockBeside(ctx, path)
	if err != nil {
		return nil, err
	}
	o := &owner{path: path, lock: lock}
	if err := o.lockItself(); err != nil {
		_ = lock.close() // the first error is the one that counts
		return nil, err
	}
	return o, nil
}

func lockBeside(ctx context.Context, path string) (*conn, error) {
	c, err := connect(ctx, dsn(path+lockSuffix, url.Values{}))
	if err != nil {
		return nil, err
	}
	if err = c.script("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE"); err != nil {
		_ = c.close()
		if code(err)&primary == sqlite3.SQLITE_BUSY {
			return nil, &LockedError{Path: path}
		}
		return nil, err
	}
	return c, nil
}

func (o *owner) lockItself() error {
	owned.mu.Lock()
	defer owned.mu.Unlock()
	if info, err := os.Stat(o.path); err == nil && isOwned(info) {
		return &LockedError{Path: o.path}
	}
	file, err := os.OpenFile(o.path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case links(info) > 1:
		err = &LinkedError{Path: o.path, Links: links(info)}
	case !lockFile(file):
		err = &LockedError{Path: o.path}
	}
	if err != nil {
		_ = file.Close()
		return err
	}
	o.file, o.info = file, info
	o.files = []watchedFile{{o.path, info}}
	owned.files = append(owned.files, info)
	return nil
}

func isOwned(info os.FileInfo) bool {
	for _, other := range owned.files {
		if os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// watch notes the files that SQLite has opened beside the database, and reports whether all is as it was when the
// database was locked.
func (o *owner) watch() error {
	suffixes := []string{"-wal", "-shm"}
	if !locksFiles {
		suffixes = append(suffixes, lockSuffix)
	}
	for _, suffix := range suffixes {
		info, err := os.Stat(o.path + suffix)
		if err != nil {
			return &movedError{o.path + suffix}
		}
		o.files = append(o.files, watchedFile{o.path + suffix, info})
	}
	return o.verify()
}

// verify reports a file that is no longer where it was: what is written to it then is lost with this process. It costs
// a few microseconds.
func (o *owner) verify() error {
	for i, f := range o.files {
		info, err := os.Stat(f.path)
		if err != nil || !os.SameFile(info, f.info) {
			return &movedError{f.path}
		}
		o.files[i].info = info
	}
	return nil
}

// movedError says which file is no longer where it was.
type movedError struct{ path string }

func (e *movedError) Error() string {
	return fmt.Sprintf("%s is not the file that was opened", e.path)
}

// release gives the file back, once no connection of SQLite's has it open.
func (o *owner) release() error {
	owned.mu.Lock()
	defer owned.mu.Unlock()
	for i, other := range owned.files {
		if os.SameFile(o.info, other) {
			owned.files = append(owned.files[:i], owned.files[i+1:]...)
			break
		}
	}
	unlockFile(o.file)
	return errors.Join(o.file.Close(), o.lock.close())
}

// resolve returns the path of the file itself, whatever name is used: links are followed also to a file that is not
// there yet.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range maxLinks {
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", &FolderError{Folder: filepath.Dir(path), Err: err}
		}
		path = filepath.Join(folder, filepath.Base(path))
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&os.ModeSymlink == 0 {
			return path, nil //nolint:nilerr // there is no file yet
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(folder, target)
		}
		path = target
	}
	return "", &os.PathError{Op: "resolve", Path: path, Err: errTooManyLinks}
}

// maxLinks is how many symbolic links to a file are followed, as many as Linux follows.
const maxLinks = 40

var errTooManyLinks = errors.New("too many symbolic links")

// primary masks the primary part of a result code.
const primary = 0xff

// code is SQLite's extended result code, 0 if err has none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
