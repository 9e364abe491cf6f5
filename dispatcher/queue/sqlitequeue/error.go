package sqlitequeue

import (
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"
)

// What can be wrong with the file. Compare with errors.Is; the error itself is a *StoreError.
var (
	ErrFull     = errors.New("the disk is full")
	ErrReadOnly = errors.New("the file cannot be written")
	ErrCorrupt  = errors.New("the file is damaged")
	ErrIO       = errors.New("the disk or file system failed")
	ErrBusy     = errors.New("another program keeps the file locked")
	ErrOther    = errors.New("SQLite refused")
)

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("sqlitequeue: the queue is closed")

// StoreError says that the file could not be read or written. Nothing of the call was stored, and it is safe to repeat it.
type StoreError struct {
	Op      string // what was being done
	Problem error  // ErrFull, ErrReadOnly, ErrCorrupt, ErrIO, ErrBusy or ErrOther
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
	default:
		return "see the operating system's log"
	}
}

// LockedError says that another queue has the file open, in this process or in another one.
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

// storeError makes err a *StoreError, unless it is an error of this package's own.
func storeError(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*StoreError](err); ok || errors.Is(err, ErrClosed) {
		return err
	}
	c := code(err)
	problem := ErrOther
	switch c & primary {
	case sqlite3.SQLITE_FULL:
		problem = ErrFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		problem = ErrReadOnly
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		problem = ErrCorrupt
	case sqlite3.SQLITE_IOERR:
		problem = ErrIO
	case sqlite3.SQLITE_BUSY:
		problem = ErrBusy
	}
	return &StoreError{Op: op, Problem: problem, Code: c, Err: err}
}
