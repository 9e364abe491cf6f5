package sqlitequeue

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dedup"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// unpack makes a file that another version of this package has written.
func unpack(t *testing.T, name string) (path string) {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", name+".gz"))
	require.NoError(t, err)
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	require.NoError(t, err)
	b, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	path = newPath(t)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// TestAFileOfTheSecondSchema was written by the version before the third: everything in it is still there.
func TestAFileOfTheSecondSchema(t *testing.T) {
	t.Parallel()
	q := openAt(t, unpack(t, "schema2.db"))
	ctx := t.Context()
	assert.Equal(t, queue.Counts{Due: 3, Later: 2}, count(t, q, "a"))
	assert.Equal(t, queue.Counts{Due: 1}, count(t, q, "b"))
	letters, err := q.DeadLetters(ctx, queue.Selection{})
	require.NoError(t, err)
	require.Len(t, letters, 1)
	assert.Equal(t, "no use", letters[0].Reason)
	assert.Equal(t, 1, letters[0].Attempt)
	assert.False(t, letters[0].Urgent)
	found, err := q.Cancel(ctx, "a", "name")
	require.NoError(t, err)
	assert.True(t, found)
	c, err := q.Dedup().Claim(ctx, "delivered", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, dedup.Done, c.State)
	reference, found, err := q.SlackReferences(0).Get(ctx, slack.Key{Subject: "AR-1"})
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "1.2", reference.TS)
	entries, err := q.History().Query(ctx, history.Query{})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "plain", entries[0].Event.ID())

	require.NoError(t, q.Enqueue(ctx, queue.Job{Event: entries[0].Event, Lane: "a"}), "known")
	urgent := job("urgent", "a")
	urgent.Urgent = true
	require.NoError(t, q.Enqueue(ctx, urgent))
	var ran []queue.Job
	l := serve(t, q, "a", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		ran = append(ran, j)
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, l.Drain(ctx, time.Time{}))
	require.Len(t, ran, 4)
	for i, id := range []string{"urgent", "plain", "keyed-1", "keyed-2"} {
		assert.Equal(t, id, ran[i].Event.ID())
	}
	assert.Equal(t, map[string]string{"traceparent": "00-ab"}, ran[2].Headers)
	n, err := q.Requeue(ctx, queue.Selection{}, 1)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}
