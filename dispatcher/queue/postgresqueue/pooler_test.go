package postgresqueue

import (
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

func TestConformsThroughAPooler(t *testing.T) {
	t.Parallel()
	s := suite(poolerURL, 0)
	s.Process.Kills = 1
	queuetest.Run(t, s)
}

func TestKilledOwnersThroughAPooler(t *testing.T) {
	t.Parallel()
	c := newCluster(t, poolerURL(t), memberConfig{})
	n := runs(2)
	pauses := c.loseOwners(n, c.kill, c.startAnother)
	c.finish(n * c.inFlight())
	logPauses(t, "kill -9 through pgbouncer", pauses, testLease+2*time.Second+busy)
}
