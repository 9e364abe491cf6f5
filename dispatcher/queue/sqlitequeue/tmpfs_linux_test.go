package sqlitequeue

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFullDisk is TestFullFile on a disk that is full, a small one in memory. Only root may mount one; for others
// TestFullFile has to do, which goes through the same.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("a small disk cannot be mounted here (%v): TestFullFile shows what happens when SQLite finds no room", err)
		return
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(folder, syscall.MNT_DETACH)) })
	filler := filepath.Join(folder, "filler")
	fullDisk(t, filepath.Join(folder, "queue.db"),
		func(*Queue) {
			require.NoError(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600))
		},
		func(*Queue) { require.NoError(t, os.Remove(filler)) })
}
