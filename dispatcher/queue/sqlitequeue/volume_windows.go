package sqlitequeue

import sys "golang.org/x/sys/windows"

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
