//go:build unix

package postgresqueue

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStoppedOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t, serverURL(t), memberConfig{})
	signal := func(p *process, s syscall.Signal) { require.NoError(t, p.cmd.Process.Signal(s)) }
	n := runs(2)
	pauses := c.loseOwners(n, func(p *process) { signal(p, syscall.SIGSTOP) }, func(p *process) *process {
		signal(p, syscall.SIGCONT)
		return p
	})
	c.finish(2 * n * c.inFlight())
	logPauses(t, "SIGSTOP", pauses, testLease+2*time.Second+busy)
}
