package sqlitequeue

import (
	"os"

	sys "golang.org/x/sys/windows"
)

// links is how many names a file has, as far as is known.
func links(os.FileInfo) int { return 1 }

// space returns the size of the volume that a folder is on and what is free of it for this process, in bytes.
func space(folder string) (total, free int64, ok bool) {
	name, err := sys.UTF16PtrFromString(folder)
	if err != nil {
		return 0, 0, false
	}
	var available, size, all uint64
	if err := sys.GetDiskFreeSpaceEx(name, &available, &size, &all); err != nil {
		return 0, 0, false
	}
	return int64(size), int64(available), true
}
