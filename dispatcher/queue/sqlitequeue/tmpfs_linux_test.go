package sqlitequeue

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFullDisk is TestFullFile on a disk that is full.
func TestFullDisk(t *testing.T) {
	folder := smallDisk(t, "2m")
	filler := filepath.Join(folder, "filler")
	fullDisk(t, filepath.Join(folder, "queue.db"),
		func(*Queue) {
			require.NoError(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600))
		},
		func(*Queue) { require.NoError(t, os.Remove(filler)) })
}
