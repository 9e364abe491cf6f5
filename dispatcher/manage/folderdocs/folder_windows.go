package folderdocs

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

//nolint:gochecknoglobals // read-only; package syscall has no such call
var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	failImmediately = 1
	exclusively     = 2

	sharingViolation = syscall.Errno(32)
	lockViolation    = syscall.Errno(33)
)

// tryLock locks an open file unless it is locked, also by another opening of it in this process.
func tryLock(f *os.File) (bool, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var locked bool
	var refused error
	err = raw.Control(func(fd uintptr) {
		var at syscall.Overlapped
		var result uintptr
		result, _, refused = lockFileEx.Call(fd, failImmediately|exclusively, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
		locked = result != 0
	})
	if err != nil || locked {
		return locked, err
	}
	if errors.Is(refused, lockViolation) || errors.Is(refused, syscall.ERROR_IO_PENDING) {
		return false, nil
	}
	return false, refused
}

// syncFolder does nothing here: Windows has no such call, and NTFS logs changes of names.
func syncFolder(string) error { return nil }

// renameTime is how long a file that somebody reads is waited for.
const renameTime = 5 * time.Second

// rename replaces a file by another one. Windows refuses that while somebody has the old one open.
func rename(from, to string) error {
	for end := time.Now().Add(renameTime); ; {
		err := os.Rename(from, to)
		busy := errors.Is(err, syscall.ERROR_ACCESS_DENIED) || errors.Is(err, sharingViolation)
		if !busy || time.Now().After(end) {
			return err
		}
		<-time.After(minLockPause)
	}
}
