package sqlitequeue

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// TestBoundsAfterACrash: what a lane holds is counted from what is in the file, whatever the process was doing.
func TestBoundsAfterACrash(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	started, release := make(chan struct{}), make(chan struct{})
	serve(t, q, "a", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Generation == 1 {
			return queue.Disposition{Action: queue.Dead, Reason: "no use"}
		}
		close(started)
		<-release
		return queue.Disposition{Action: queue.Done}
	})
	dead := jobs("a", 2)
	for i := range dead {
		dead[i].Generation = 1
	}
	require.NoError(t, q.Enqueue(t.Context(), append(dead, jobs("a", 3)...)...))
	<-started
	eventually(t, func() bool { return count(t, q, "a") == queue.Counts{Due: 2, Running: 1, Dead: 2} }, "one runs")
	path := newPath(t)
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(q.store.path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+suffix, b, 0o600))
	}
	close(release)

	q = openAt(t, path)
	q.Bound("a", queue.Bound{Jobs: 3, DeadLetters: 2})
	assert.Equal(t, queue.Counts{Due: 3, Dead: 2}, count(t, q, "a"))
	require.ErrorAs(t, q.Enqueue(t.Context(), job("more", "a")), new(*queue.BacklogError))
	serve(t, q, "a", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		if j.Event.ID() == "a-0" {
			return queue.Disposition{Action: queue.Dead, Reason: "no use"}
		}
		return queue.Disposition{Action: queue.Done}
	})
	eventually(t, func() bool { return rowsOf(t, q, "job") == 0 }, "they run")
	require.NoError(t, q.Enqueue(t.Context(), job("more", "a")))
	letters, err := q.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	require.Len(t, letters, 2)
	assert.Equal(t, "a-1", letters[0].Event.ID())
	assert.EqualValues(t, 1, letters[0].Generation)
	assert.Equal(t, "a-0", letters[1].Event.ID())
	assert.EqualValues(t, 0, letters[1].Generation)
}
