//go:build !linux

package sqlitequeue

import "os"

// locksFiles says that lockFile locks.
const locksFiles = false

// lockFile locks nothing here: flock and SQLite's locks would exclude each other on the BSDs and macOS, and Windows
// does not let an open file be removed or renamed.
func lockFile(*os.File) bool { return true }

func unlockFile(*os.File) {}
