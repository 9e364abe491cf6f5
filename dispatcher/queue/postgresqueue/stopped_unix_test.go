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
	members := []*process{c.start(""), c.start(""), c.start("")}
	var pauses []time.Duration
	n := runs(2)
	for i := range n {
		c.runMore(200)
		victim := members[i%3]
		at := time.Now()
		require.NoError(t, victim.cmd.Process.Signal(syscall.SIGSTOP))
		c.awaitTakeover(victim.name, at)
		pauses = append(pauses, c.pauses(victim.name, at)...)
		require.NoError(t, victim.cmd.Process.Signal(syscall.SIGCONT))
	}
	c.finish(2 * n * c.inFlight())
	logPauses(t, "SIGSTOP", pauses, testLease+2*time.Second+busy)
}
