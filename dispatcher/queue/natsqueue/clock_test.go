package natsqueue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// The clock follows the servers', whatever the wall clock of this process says, and does not follow the noise of
// its readings.
func TestClockIsTheServers(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{0, time.Hour, -time.Hour, 5 * 365 * 24 * time.Hour, -5 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			servers := func() time.Time { return time.Now().Add(off) }
			c := newClock(time.Now())
			read := func(took time.Duration) {
				asked := time.Now()
				<-time.After(took / 2)
				at := servers()
				<-time.After(took / 2)
				c.observe(asked, at)
			}
			near := func(within time.Duration) {
				t.Helper()
				assert.LessOrEqual(t, c.now().Sub(servers()).Abs(), within, "off by %v", off)
			}
			read(10 * time.Millisecond)
			near(agreement)
			<-time.After(time.Hour)
			near(agreement)
			for _, took := range []time.Duration{0, time.Millisecond, 2 * time.Second, 10 * time.Second} {
				read(took)
				near(agreement)
			}
			off += time.Minute // the servers' clock is set
			read(20 * time.Millisecond)
			near(agreement)
			assert.Equal(t, time.Minute.Truncate(time.Second), c.until(servers().Add(time.Minute)).Round(time.Second))
		})
	}
}
