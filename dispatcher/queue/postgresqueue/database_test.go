package postgresqueue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Callers who read, and take their time, do not hold up those who enqueue.
func TestEnqueuesWhileOthersRead(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	for range cap(q.store.db.readers) {
		q.store.db.readers <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := q.Enqueue(ctx, job("e1", "a lane that is new"))
	for range cap(q.store.db.readers) {
		<-q.store.db.readers
	}
	require.NoError(t, err)
}
