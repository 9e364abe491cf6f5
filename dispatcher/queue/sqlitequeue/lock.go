package sqlitequeue

import (
	"context"
	"errors"
	"net/url"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lockSuffix is added to a file's name for the lock beside it.
const lockSuffix = "-lock"

// own takes the lock that says which process the file belongs to: an exclusive transaction, for as long as the queue is
// open, on an empty database beside it. That works wherever SQLite does, within a process as well, and the operating
// system takes it back from a process that dies.
func own(ctx context.Context, path string) (*conn, error) {
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

// primary masks the primary part of a result code.
const primary = 0xff

// code is SQLite's extended result code, 0 if err has none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}
