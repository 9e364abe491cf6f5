package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if isService() {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// The program's claims are checked at the receiver and in the database, not in what it prints.
func TestDeliveredIfAndOnlyIfCommitted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const grants = 900
	var out bytes.Buffer
	r, err := run(ctx, &out, grants, os.Getenv("DATABASE_URL"))
	require.NoError(t, err, out.String())
	assert.Equal(t, grants*2/3, r.committed)
	assert.Equal(t, grants/3, r.rolledBack)
	assert.Equal(t, r.committed, r.arrived)
	assert.Positive(t, r.waiting, "it was killed between a commit and its relay")
	assert.Zero(t, r.stray)
	assert.Zero(t, r.left)
	assert.LessOrEqual(t, r.twice, 16, "what was in flight, by the route's Concurrency")
}
