package sqlitequeue

import "syscall"

// space returns the size of the volume that a folder is on and what is free of it for this process, in bytes.
func space(folder string) (total, free int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, 0, false
	}
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize), true
}
