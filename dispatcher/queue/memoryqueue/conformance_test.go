package memoryqueue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/memoryqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	newMemory := func(*testing.T) queue.Queue { return memoryqueue.New(memoryqueue.Options{}) }
	t.Run("real clock", func(t *testing.T) {
		t.Parallel()
		queuetest.Run(t, queuetest.Suite{New: newMemory})
	})
	// No machine is slow in a bubble, so the stated precision is held to the nanosecond.
	t.Run("fake clock", func(t *testing.T) {
		queuetest.Run(t, queuetest.Suite{New: newMemory, Slack: time.Nanosecond, Bubble: synctest.Test})
	})
}
