package postgresqueue

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/internal/testserver"
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

// loseOwners starts three processes and has n of them end, one after the other, each while jobs run and until its lanes
// are owned by others. replace returns what takes its place. It returns how long lanes were without an owner.
func (c *cluster) loseOwners(n int, end func(*process), replace func(*process) *process) (pauses []time.Duration) {
	members := []*process{c.start(""), c.start(""), c.start("")}
	for i := range n {
		c.runMore(200)
		victim := members[i%3]
		at := time.Now()
		end(victim)
		c.awaitTakeover(victim.name, at)
		pauses = append(pauses, c.pauses(victim.name, at)...)
		members[i%3] = replace(victim)
	}
	return pauses
}

func (c *cluster) startAnother(*process) *process { return c.start("") }

// busy is what a busy machine adds to a promise of time.
const busy = 5 * time.Second

func TestKilledOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t, serverURL(t), memberConfig{})
	n := runs(2)
	pauses := c.loseOwners(n, c.kill, c.startAnother)
	c.finish(n * c.inFlight())
	logPauses(t, "kill -9", pauses, testLease+2*time.Second+busy)
}

func TestLeavingOwners(t *testing.T) {
	t.Parallel()
	c := newCluster(t, serverURL(t), memberConfig{})
	pauses := c.loseOwners(runs(2), c.leave, c.startAnother)
	c.finish(0)
	logPauses(t, "leaving", pauses, busy)
}

func TestTerminatedConnections(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	c := newCluster(t, url, memberConfig{})
	name := "tocsin-" + c.config.Schema
	for range 3 {
		c.start(url + "&application_name=" + name)
	}
	n := runs(3)
	for range n {
		c.runMore(100)
		require.NoError(t, execute(t.Context(), url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '"+name+"'"))
	}
	c.finish(n * 3 * c.inFlight())
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	s := testserver.StartPostgreSQL(t, ping)
	c := newCluster(t, s.Address(), memberConfig{Lease: 2 * time.Second})
	for range 3 {
		c.start("")
	}
	n := runs(2)
	for range n {
		c.runMore(200)
		s.Kill()
		s.Start(t)
	}
	c.runMore(200)
	c.finish(n * 3 * c.inFlight())
}

func TestCutNetwork(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	c := newCluster(t, url, memberConfig{})
	proxy := newProxy(t, url)
	victim := c.start(proxy.address())
	c.start("")
	c.start("")
	var pauses []time.Duration
	n := runs(2)
	for range n {
		c.runMore(200)
		at := time.Now()
		proxy.setCut(true)
		c.awaitTakeover(victim.name, at)
		pauses = append(pauses, c.pauses(victim.name, at)...)
		proxy.setCut(false)
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
	c := newCluster(t, serverURL(t), memberConfig{})
	c.start("", func(m *memberConfig) { m.Ahead = time.Hour })
	c.start("", func(m *memberConfig) { m.Ahead = -time.Hour })
	c.start("")
	c.runMore(2000)
	c.finish(0)
}
