package sqlitequeue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	sqlite3 "modernc.org/sqlite/lib"
)

// What can be wrong with the file. Compare with errors.Is; the error itself is a *StoreError.
var (
	ErrFull     = errors.New("the disk is full")
	ErrReadOnly = errors.New("the file cannot be written")
	ErrCorrupt  = errors.New("the file is damaged")
	ErrIO       = errors.New("the disk or file system failed")
	ErrBusy     = errors.New("another program keeps the file locked")
	ErrMoved    = errors.New("the file was removed, renamed or replaced while it was open")
	ErrOther    = errors.New("SQLite refused")
)

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("sqlitequeue: the queue is closed")

// StoreError says that the file could not be read or written. It is safe to repeat the call: nothing of it was stored
// or, of a call with very many events, the first ones (see Queue.Enqueue).
type StoreError struct {
	Op      string // what was being done
	Problem error  // ErrFull, ErrReadOnly, ErrCorrupt, ErrIO, ErrBusy, ErrMoved or ErrOther
	Code    int    // SQLite's extended result code; 0 = none
	Err     error  // the driver's
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("sqlitequeue: %s: %v (%v): %s", e.Op, e.Problem, e.Err, e.remedy())
}

// Unwrap returns the problem and the driver's error.
func (e *StoreError) Unwrap() []error { return []error{e.Problem, e.Err} }

func (e *StoreError) remedy() string {
	switch {
	case errors.Is(e.Problem, ErrFull):
		return "make room; deliveries go on by themselves then"
	case errors.Is(e.Problem, ErrReadOnly):
		return "check the permissions of the file, of its folder, and how it is mounted"
	case errors.Is(e.Problem, ErrCorrupt):
		return "stop, copy the file with its -wal, and let sqlite3's .recover save what it can"
	case errors.Is(e.Problem, ErrBusy):
		return "let tools such as sqlite3 end their transactions within seconds"
	case errors.Is(e.Problem, ErrMoved):
		return "stop the program, put the file back together with its -wal, and start the program again"
	default:
		return "see the operating system's log"
	}
}

// FolderError says that the folder of the file is not there or cannot be entered. It is an ErrReadOnly.
type FolderError struct {
	Folder string
	Err    error // the operating system's
}

func (e *FolderError) Error() string {
	return fmt.Sprintf("sqlitequeue: folder %s cannot be used (%v): create it, with permission to write for this program, "+
		"or correct the path", e.Folder, e.Err)
}

// Unwrap returns ErrReadOnly and the operating system's error.
func (e *FolderError) Unwrap() []error { return []error{ErrReadOnly, e.Err} }

// LinkedError says that the file has other names (hard links). SQLite would look for its log under one of them only.
type LinkedError struct {
	Path  string
	Links int // how many names the file has
}

func (e *LinkedError) Error() string {
	return fmt.Sprintf("sqlitequeue: %s has %d names (hard links): remove the others, or give the queue a copy of the file",
		e.Path, e.Links)
}

// LockedError says that another queue has the file open, in this process or in another one, under this name or another.
type LockedError struct{ Path string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("sqlitequeue: %s is open already, here or in another process: a file belongs to one queue at a time; "+
		"stop the other one first, or use a file of your own", e.Path)
}

// SchemaError says that a newer version of this package has written the file.
type SchemaError struct {
	Path         string
	Found, Known int // schema versions
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("sqlitequeue: %s has schema version %d, this program knows up to %d: update the program",
		e.Path, e.Found, e.Known)
}

// storeError makes err a *StoreError, unless it is an error of this package's own or of a ctx.
func storeError(op string, err error) error {
	if err == nil {
		return nil
	}
	_, ok := errors.AsType[*StoreError](err)
	if ok || errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	c := code(err)
	if errors.Is(err, errNoRoom) {
		c = sqlite3.SQLITE_FULL
	}
	return &StoreError{Op: op, Problem: problemOf(err), Code: c, Err: err}
}

// problemOf says what is wrong with the file.
func problemOf(err error) error {
	if _, ok := errors.AsType[*movedError](err); ok {
		return ErrMoved
	}
	if errors.Is(err, fs.ErrPermission) {
		return ErrReadOnly
	}
	c := code(err)
	if c == sqlite3.SQLITE_IOERR_SHMSIZE || errors.Is(err, errNoRoom) { // shared memory could not grow
		return ErrFull
	}
	switch c & primary {
	case sqlite3.SQLITE_FULL:
		return ErrFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return ErrReadOnly
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrCorrupt
	case sqlite3.SQLITE_IOERR:
		return ErrIO
	case sqlite3.SQLITE_BUSY:
		return ErrBusy
	}
	return ErrOther
}
