package sqlitequeue

import (
	"bytes"
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
	"github.com/tocsin-go/tocsin/event"
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

// TestAFileOfTheThirdSchema, where "/" meant nothing in the name of a lane: now it ends the tenant. Everything is still
// there, under the name that a route without a tenant has now.
func TestAFileOfTheThirdSchema(t *testing.T) {
	t.Parallel()
	q := openAt(t, unpack(t, "schema3.db"))
	ctx := t.Context()
	names, err := q.Lanes(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"//team/mail", "/team/mail", "mail"}, names)
	assert.Equal(t, queue.Counts{Due: 3, Later: 1, Dead: 1}, count(t, q, "/team/mail"))
	assert.Equal(t, queue.Counts{Due: 1, Dead: 1}, count(t, q, "//team/mail"))
	assert.Equal(t, queue.Counts{Due: 1, Dead: 1}, count(t, q, "mail"))
	entries, err := q.History().Query(ctx, history.Query{Tenant: "tenant"})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "team/mail", entries[0].Route.Name)

	letters, err := q.DeadLetters(ctx, queue.Selection{})
	require.NoError(t, err)
	require.Len(t, letters, 3)
	for i, lane := range []string{"/team/mail", "//team/mail", "mail"} {
		assert.Equal(t, lane, letters[i].Lane)
		found, err := q.DeadLetters(ctx, queue.Selection{IDs: []string{letters[i].ID()}})
		require.NoError(t, err)
		assert.Equal(t, letters[i:i+1], found, "by its id of today")
	}
	var ends int64
	require.NoError(t, q.store.readers.inspect.read(ctx, func(c *conn) (err error) { ends, err = c.number("SELECT max(ends) FROM dead"); return err }))
	assert.Equal(t, letters[2].At.Add(DefaultDeadAge).UnixNano(), ends)

	done := queue.Job{Lane: "gone"}
	done.Event, err = event.Parse(bytes.Replace(letters[0].Event.JSON(), []byte(`"dead"`), []byte(`"done"`), 1))
	require.NoError(t, err)
	plain := entries[0].Event
	require.NoError(t, q.Enqueue(ctx, done, queue.Job{Event: plain, Lane: "/team/mail"}, queue.Job{Event: plain, Lane: "//team/mail"},
		queue.Job{Event: plain, Lane: "mail"}), "all are known")
	assert.Equal(t, queue.Counts{}, count(t, q, "gone"))
	found, err := q.Cancel(ctx, "/team/mail", "name")
	require.NoError(t, err)
	assert.True(t, found)
	q = reopen(t, q)
	require.NoError(t, q.Enqueue(ctx, done, queue.Job{Event: plain, Lane: "/team/mail"}), "known also after another start")
	var ran []string
	l := serve(t, q, "/team/mail", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		ran = append(ran, j.Event.ID())
		return queue.Disposition{Action: queue.Done}
	})
	require.NoError(t, l.Drain(ctx, time.Time{}))
	assert.Equal(t, []string{"plain", "keyed-1", "keyed-2"}, ran)
	n, err := q.Requeue(ctx, queue.Selection{LanePrefix: "/"}, 1)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}
