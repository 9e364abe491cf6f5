//go:build unix

package sqlitequeue

import (
	"os"
	"syscall"
)

// links is how many names a file has.
func links(info os.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Nlink)
	}
	return 1
}
