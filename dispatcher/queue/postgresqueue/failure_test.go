package postgresqueue

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue/postgresqueue/internal/pgtest"
)

// logPauses says how long lanes were without an owner, and checks that it was no longer than stated.
func logPauses(t *testing.T, what string, all []time.Duration, most time.Duration) {
	t.Helper()
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	t.Logf("%s: %d lanes ran elsewhere after %v (median), %v at most", what, len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	assert.LessOrEqual(t, all[len(all)-1], most)
}

// busy is what a busy machine adds to a promise of time.
const busy = 5 * time.Second

func TestKilledOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.URL(t), memberConfig{})
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
	logPauses(t, "kill -9", pauses, testLease+2*time.Second+busy)
}

func TestLeavingOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.URL(t), memberConfig{})
	members := []*process{c.start(""), c.start(""), c.start("")}
	var pauses []time.Duration
	for i := range runs(2) {
		c.runMore(200)
		victim := members[i%3]
		at := time.Now()
		c.leave(victim)
		c.awaitTakeover(victim.name, at)
		pauses = append(pauses, c.pauses(victim.name, at)...)
		members[i%3] = c.start("")
	}
	c.finish(0)
	logPauses(t, "leaving", pauses, busy)
}

func TestTerminatedConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	c := newCluster(t, url, memberConfig{})
	name := "tocsin-" + c.config.Schema
	for range 3 {
		c.start(url + "&application_name=" + name)
	}
	n := runs(3)
	for range n {
		c.runMore(100)
		require.NoError(t, pgtest.Exec(t.Context(), url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"+name+"'"))
	}
	c.finish(n * 3 * c.inFlight())
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	pgtest.URL(t) // or skip
	s, err := pgtest.Start("")
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	c := newCluster(t, s.URL(), memberConfig{Lease: 2 * time.Second})
	for range 3 {
		c.start("")
	}
	n := runs(2)
	for range n {
		c.runMore(200)
		s.Kill()
		require.NoError(t, s.Restart())
	}
	c.runMore(200)
	c.finish(n * 3 * c.inFlight())
}

func TestCutNetwork(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	c := newCluster(t, url, memberConfig{})
	proxy, err := pgtest.NewProxy(url)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	victim := c.start(proxy.URL())
	c.start("")
	c.start("")
	var pauses []time.Duration
	n := runs(2)
	for range n {
		c.runMore(200)
		at := time.Now()
		proxy.Cut(true)
		c.awaitTakeover(victim.name, at)
		pauses = append(pauses, c.pauses(victim.name, at)...)
		proxy.Cut(false)
		c.until("the one that was cut off runs jobs again", func() bool {
			last := c.ran[len(c.ran)-1]
			return last.member == victim.name && last.at > at.UnixNano()
		})
	}
	c.finish(2 * n * c.inFlight())
	logPauses(t, "network cut", pauses, testLease+2*time.Second+busy)
}

func TestWrongClock(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.URL(t), memberConfig{})
	c.start("", func(m *memberConfig) { m.Ahead = time.Hour })
	c.start("", func(m *memberConfig) { m.Ahead = -time.Hour })
	c.start("")
	c.runMore(2000)
	c.finish(0)
}
