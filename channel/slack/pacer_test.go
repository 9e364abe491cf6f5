package slack

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPacerTurnsAwayWhatComesTooSoon(t *testing.T) {
	t.Parallel()
	p := pacer{interval: time.Second}
	at := func(d time.Duration) time.Time { return time.Unix(1700000000, 0).Add(d) }
	for _, step := range []struct{ now, wait time.Duration }{
		{0, 0},
		{400 * time.Millisecond, 600 * time.Millisecond},
		{400 * time.Millisecond, 1600 * time.Millisecond}, // behind the one before
		{time.Second, 0},
		{2 * time.Second, 0},
		{2500 * time.Millisecond, 500 * time.Millisecond},
		{time.Minute, 0}, // those who were given a time did not come
		{time.Minute, time.Second},
	} {
		assert.Equal(t, step.wait, p.admit(at(step.now), false), "at %v", step.now)
	}
}

// What is urgent waits for the last message only, however many wait, and takes nobody's turn away from them.
func TestPacerLetsUrgentMessagesGoFirst(t *testing.T) {
	t.Parallel()
	p := pacer{interval: time.Second}
	now := time.Unix(1700000000, 0)
	assert.Zero(t, p.admit(now, false))
	for i := range 30 {
		assert.Equal(t, time.Duration(1+i)*time.Second, p.admit(now, false))
	}
	assert.Equal(t, time.Second, p.admit(now, true))
	assert.Zero(t, p.admit(now.Add(time.Second), true))
	assert.Equal(t, time.Second, p.admit(now.Add(time.Second), true))
}

// However many are turned away, none is sent off for long because of others that may never come back.
func TestPacerBoundsTheWait(t *testing.T) {
	t.Parallel()
	p := pacer{interval: time.Second}
	now := time.Unix(1700000000, 0)
	p.admit(now, false)
	for range 1000 {
		assert.LessOrEqual(t, p.admit(now, false), time.Second+longestWait)
	}
}

// A storm of deliveries, each coming back when it was to, leaves at the exact rate, in about as many tries as it
// has deliveries, and with nobody waiting in Send.
func TestPacerOneMessageASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const deliveries = 50
		p := pacer{interval: time.Second}
		var tries atomic.Int64
		var mu sync.Mutex
		var sent []time.Time
		var wg sync.WaitGroup
		began := time.Now()
		for range deliveries {
			wg.Go(func() {
				for {
					tries.Add(1)
					wait := p.admit(time.Now(), false)
					if wait == 0 {
						break
					}
					<-time.After(wait)
				}
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, time.Now())
			})
		}
		wg.Wait()
		assert.Equal(t, (deliveries-1)*time.Second, time.Since(began))
		for i, at := range sent {
			assert.Equal(t, began.Add(time.Duration(i)*time.Second), at)
		}
		assert.LessOrEqual(t, tries.Load(), int64(2*deliveries))
	})
}

func TestPacerWithoutAnInterval(t *testing.T) {
	t.Parallel()
	p := pacer{interval: -1}
	now := time.Unix(1700000000, 0)
	for range 100 {
		assert.Zero(t, p.admit(now, false))
	}
	// Whoever looked at the clock first may come second.
	assert.Zero(t, p.admit(now.Add(-time.Millisecond), false))
}
