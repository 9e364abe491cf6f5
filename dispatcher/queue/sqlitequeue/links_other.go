//go:build !unix

package sqlitequeue

import "os"

// links is how many names a file has, as far as is known.
func links(os.FileInfo) int { return 1 }
