package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if isProduct() {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// The program's claims are checked at the receiver, not in what it prints.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const events = 1500
	var out bytes.Buffer
	r, err := run(ctx, &out, events)
	require.NoError(t, err, out.String())
	assert.Equal(t, events, r.arrived)
	assert.LessOrEqual(t, r.twice, 16, "what was in flight, by the route's Concurrency")
	assert.LessOrEqual(t, r.most, 2)
	assert.Less(t, r.beforeKill, events, "it was killed in the middle")
	assert.Positive(t, r.acknowledged)
	assert.Equal(t, 1, r.reminders)
	assert.True(t, r.cancelled, "a reminder scheduled before the crash can be cancelled after it")
	assert.True(t, r.shutdownClean)
	assert.Contains(t, out.String(), "kill -9")
}
