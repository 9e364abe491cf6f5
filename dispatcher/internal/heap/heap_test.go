package heap_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUsed(t *testing.T) {
	const size = 64 << 20
	before := heap.Used()
	b := make([]byte, size)
	assert.InDelta(t, size, heap.Used()-before, size/2)
	runtime.KeepAlive(b)
	assert.Less(t, heap.Used()-before, int64(size/2))
}
