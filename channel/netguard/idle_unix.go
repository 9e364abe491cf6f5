//go:build unix

package netguard

import "syscall"

// nothingToRead reports whether nothing, not even its end, is to be read from a socket.
func nothingToRead(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK) // which does not block: no socket of package net does
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
