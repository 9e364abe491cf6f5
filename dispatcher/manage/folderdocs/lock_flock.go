//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package folderdocs

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks an open file unless it is locked, also by another opening of it in this process. A program that this
// process is just starting has the file open, too, until it runs.
func tryLock(f *os.File) (bool, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return false, err
	}
	if errors.Is(locked, syscall.EWOULDBLOCK) || errors.Is(locked, syscall.EINTR) {
		return false, nil
	}
	return locked == nil, locked
}
