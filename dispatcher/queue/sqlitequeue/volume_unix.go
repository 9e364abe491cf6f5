//go:build linux || darwin

package sqlitequeue

import "syscall"

// space returns the size of the volume that a folder is on and what is free of it for this process, in bytes.
func space(folder string) (total, free int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, 0, false
	}
	block := int64(s.Bsize) //nolint:unconvert // its type differs between platforms
	return int64(s.Blocks) * block, int64(s.Bavail) * block, true
}
