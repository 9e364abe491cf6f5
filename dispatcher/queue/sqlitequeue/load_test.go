package sqlitequeue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// reading is a lane with two jobs in memory, three in the file, and a load that has read those.
func reading(t *testing.T) (q *Queue, l *lane, r *ran, p loading, a ahead) {
	t.Helper()
	q, r = newQueue(t), newRan()
	q.ahead = 2
	l = serve(t, q, "a", 0, r.done).(*lane)
	require.NoError(t, q.Enqueue(t.Context(), jobs("a", 5)...))
	q.ahead = 6 // room for four more, and not so few in memory that a load is asked for
	p, ok := l.beginLoad()
	require.True(t, ok)
	a, err := q.readAhead(l.num, p)
	require.NoError(t, err)
	require.Len(t, a.now, 3)
	return q, l, r, p, a
}

// TestJobsThatComeWhileTheFileIsReadAreNotForgotten.
func TestJobsThatComeWhileTheFileIsReadAreNotForgotten(t *testing.T) {
	t.Parallel()
	q, l, r, p, a := reading(t)
	require.NoError(t, q.Enqueue(t.Context(), job("meanwhile", "a")))
	require.NoError(t, l.endLoad(p, a, nil))
	require.NoError(t, q.Enqueue(t.Context(), job("afterwards", "a")))
	l.Limit(1)
	r.await(t, 7)
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	assert.Equal(t, queue.Counts{}, count(t, q, "a"))
}

// TestTimesThatComeWhileTheFileIsReadAreNotForgotten: Drain must know of them.
func TestTimesThatComeWhileTheFileIsReadAreNotForgotten(t *testing.T) {
	t.Parallel()
	q, l, _, p, a := reading(t)
	timed := job("meanwhile", "a")
	timed.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, q.Enqueue(t.Context(), timed))
	require.NoError(t, l.endLoad(p, a, nil))
	assert.Equal(t, timed.NotBefore.UnixNano(), l.next)
}

// TestWhatIsTakenOutWhileTheFileIsReadDoesNotComeBack.
func TestWhatIsTakenOutWhileTheFileIsReadDoesNotComeBack(t *testing.T) {
	t.Parallel()
	q, l, r, p, a := reading(t)
	n, err := q.Purge(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, 5, n)
	require.NoError(t, l.endLoad(p, a, nil))
	require.NoError(t, q.Enqueue(t.Context(), job("afterwards", "a")))
	l.Limit(1)
	r.await(t, 1)
	require.NoError(t, l.Drain(t.Context(), time.Time{}))
	assert.Equal(t, map[string]int{"afterwards": 1}, r.ids())
}
