package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

// One server and one worker are killed with -9 while events flow. All arrive; what comes twice was under way when it
// happened: the killed worker's deliveries, and those whose end only the killed server knew.
func TestQ1KillNineOfAServerAndAWorker(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o, err := run(ctx, t.Output())
	require.NoError(t, err)
	assert.Equal(t, o.Dispatched, o.Arrived)
	const concurrency = 8
	assert.LessOrEqual(t, o.Twice, 2*concurrency)
	assert.Less(t, o.Pause, time.Minute)
}
