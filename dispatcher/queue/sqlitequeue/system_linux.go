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

// lockFile locks a file until it is unlocked or closed, whatever else the process opens and closes, and reports whether
// it could. A file system without such locks is left to the lock beside the file.
func lockFile(f *os.File) bool { return setLock(f, syscall.F_WRLCK) }

// unlockFile is needed besides closing: a program that this process is just starting has the file open, too, until it
// runs.
func unlockFile(f *os.File) { setLock(f, syscall.F_UNLCK) }

func setLock(f *os.File, kind int16) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	lock := syscall.Flock_t{Type: kind, Start: lockByte, Len: 1}
	var locked error
	err = raw.Control(func(fd uintptr) { locked = syscall.FcntlFlock(fd, setOwnLock, &lock) })
	return err == nil && !errors.Is(locked, syscall.EAGAIN) && !errors.Is(locked, syscall.EACCES)
}

// space returns the size of the volume that a folder is on and what is free of it for this process, in bytes.
func space(folder string) (total, free int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, 0, false
	}
	block := int64(s.Bsize) //nolint:unconvert // its type differs between platforms
	return int64(s.Blocks) * block, int64(s.Bavail) * block, true
}
