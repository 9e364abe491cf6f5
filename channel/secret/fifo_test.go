//go:build unix

package secret

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Opening a FIFO would block until somebody writes to it.
func TestS48_FileThatIsAFIFO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	requireSourceError(t, File(path), "file "+path, "is not a regular file")
}
