package postgresqueue

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue/postgresqueue/internal/pgtest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

// pooler is pgbouncer in transaction mode in front of the server of the tests.
func pooler(t *testing.T) string {
	t.Helper()
	p, err := pgtest.NewPooler(pgtest.URL(t))
	if errors.Is(err, pgtest.ErrNoPooler) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	return p.URL()
}

func TestConformsThroughAPooler(t *testing.T) {
	url := pooler(t)
	s := suite(func(testing.TB) string { return url }, 0)
	s.Process.Kills = 1
	s.Parallel = false
	t.Run("suite", func(t *testing.T) { queuetest.Run(t, s) })
}

func TestKilledOwnersThroughAPooler(t *testing.T) {
	c := newCluster(t, pooler(t), memberConfig{})
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
