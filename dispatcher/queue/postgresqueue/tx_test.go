package postgresqueue

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// An outcome counts once that is stored again because nobody knew whether it was.
func TestAnOutcomeStoredAgainCountsOnce(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	_, err := q.Open("a", queue.LaneOptions{}, handleNothing)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return q.store.isMine("a") }, patience, time.Millisecond)
	require.NoError(t, q.Enqueue(t.Context(), job("e1", "a")))
	read := func(text string) (n int64) {
		b := q.store.db.batch()
		b.add(text).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		require.NoError(t, q.store.db.read(t.Context(), b))
		return n
	}
	s := &durable.Settlement{
		Lane: &durable.Lane{Name: "a"}, Job: &lanes.Ref{Num: read("SELECT seq FROM tocsin.job")},
		Disposition: queue.Disposition{Action: queue.Retry, Delay: time.Hour, Began: time.Now()},
	}
	for range 2 {
		require.NoError(t, q.durable.Change(t.Context(), "settle", 1, 0, func(tx durable.Tx) error {
			_, err := tx.Settle([]*durable.Settlement{s})
			return err
		}))
	}
	assert.False(t, s.Lost)
	assert.EqualValues(t, 1, read("SELECT attempt FROM tocsin.job"))
}
