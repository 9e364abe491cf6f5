package sqlitequeue

import (
	"errors"
	"os"
	"syscall"
)

// locksFiles says that lockFile locks.
const locksFiles = true

const (
	setOwnLock = 37      // F_OFD_SETLK, which package syscall lacks
	lockByte   = 1 << 62 // far from the bytes that SQLite locks
)

// lockFile locks a file until it is closed, whatever else the process opens and closes, and reports whether it could.
// A file system without such locks is left to the lock beside the file.
func lockFile(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: lockByte, Len: 1}
	var locked error
	err = raw.Control(func(fd uintptr) { locked = syscall.FcntlFlock(fd, setOwnLock, &lock) })
	return err == nil && !errors.Is(locked, syscall.EAGAIN) && !errors.Is(locked, syscall.EACCES)
}
