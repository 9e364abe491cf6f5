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
	members := []*process{c.start(""), c.start(""), c.start("")}
	var pauses []time.Duration
	n := runs(2)
	for i := range n {
		c.runMore(200)
		victim := members[i%3]
		at := time.Now()
		c.kill(victim)
		c.awaitTakeover(victim.name, at)
		pauses = append(pauses, c.pauses(victim.name, at)...)
		members[i%3] = c.start("")
	}
	c.finish(n * c.inFlight())
	logPauses(t, "kill -9 through pgbouncer", pauses, testLease+2*time.Second+busy)
}
