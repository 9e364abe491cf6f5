package netguard

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A host that is called all the time once postponed the timer for all the others.
func TestABusyHostDoesNotKeepTheConnectionsToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pool{maxIdle: 64}
		open := func(host string) (*connection, <-chan struct{}) {
			here, there := net.Pipe()
			closed := make(chan struct{})
			go func() {
				_, _ = there.Read(make([]byte, 1))
				close(closed)
			}()
			return newConnection(here, here, connKey{scheme: "https", host: host}, 0), closed
		}
		idle, closed := open("idle.example")
		busy, _ := open("busy.example")
		p.putIdle(idle)
		p.putIdle(busy)
		for range 10 {
			<-time.After(idleTimeout / 9)
			c, _ := p.popIdle(busy.key)
			require.NotNil(t, c)
			p.putIdle(c)
		}
		<-time.After(expiryInterval)
		synctest.Wait()
		select {
		case <-closed:
		default:
			assert.Fail(t, "the idle connection is still open")
		}
		assert.Len(t, p.idle, 1)
		p.closeIdle()
		synctest.Wait()
		assert.Empty(t, p.idle)
		// The timer runs again for what comes later.
		later, closed := open("later.example")
		p.putIdle(later)
		<-time.After(idleTimeout + expiryInterval)
		synctest.Wait()
		select {
		case <-closed:
		default:
			assert.Fail(t, "the timer does not run any more")
		}
	})
}
