package sqlitequeue

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/email"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/dedup"
)

func TestSlackReferencesOutlastARestart(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	refs := q.SlackReferences(0)
	k := slack.Key{Tenant: "acme", Route: "approvers", Channel: "C1", Subject: "AR-1"}
	get := func(k slack.Key) (slack.Reference, bool) {
		t.Helper()
		r, found, err := refs.Get(t.Context(), k)
		require.NoError(t, err)
		return r, found
	}
	_, found := get(k)
	assert.False(t, found)
	var want slack.Reference
	for _, ts := range []string{"1.1", "2.2"} {
		want = slack.Reference{TS: ts, Delivery: "d", Time: time.Unix(1, 5)}
		require.NoError(t, refs.Put(t.Context(), k, want))
	}
	q = reopen(t, q)
	refs = q.SlackReferences(time.Minute)
	got, found := get(k)
	assert.True(t, found)
	assert.Equal(t, want, got, "the latest")
	for _, other := range []slack.Key{
		{Tenant: "acmeapprovers", Channel: "C1", Subject: "AR-1"}, {Tenant: "acme", Route: "approvers", Channel: "C1AR-1"}, {},
	} {
		_, found := get(other)
		assert.False(t, found, "parts of keys are kept apart")
	}
	require.NoError(t, refs.Put(t.Context(), slack.Key{}, slack.Reference{}))
	got, found = get(slack.Key{})
	assert.True(t, found)
	assert.Equal(t, slack.Reference{}, got)

	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := refs.Get(done, k)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, refs.Put(done, k, want), context.Canceled)
}

func TestRecordsEnd(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	require.NoError(t, q.write(t.Context(), "test", func(*tx) error { return nil }), "the first housekeeping comes with this one")
	refs := q.SlackReferences(20 * time.Millisecond)
	require.NoError(t, refs.Put(t.Context(), slack.Key{}, slack.Reference{TS: "1"}))
	eventually(t, func() bool {
		_, found, err := refs.Get(t.Context(), slack.Key{})
		return err == nil && !found
	}, "it has ended")
	assert.EqualValues(t, 1, rowsOf(t, q, "record"), "it is not shown, and not removed yet")
	require.NoError(t, q.write(t.Context(), "housekeeping", func(t *tx) error { _, err := t.retain(); return err }))
	assert.EqualValues(t, 0, rowsOf(t, q, "record"))
}

func TestDedupOutlastsARestart(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	ctx := t.Context()
	for _, key := range []string{"done", "claimed"} {
		c, err := q.Dedup().Claim(ctx, key, time.Hour)
		require.NoError(t, err)
		if key == "done" {
			require.NoError(t, q.Dedup().Commit(ctx, key, c.Token, time.Hour), "stores of one queue are one")
		}
	}
	q = reopen(t, q)
	c, err := q.Dedup().Claim(ctx, "done", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, dedup.Done, c.State)
	assert.InDelta(t, time.Hour, c.Remaining, float64(time.Minute))
	c, err = q.Dedup().Claim(ctx, "claimed", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, dedup.Acquired, c.State, "what was in flight is free, as the jobs are")
}

// TestDedupWhenTheFileFails: a claim that could not be committed can be, later.
func TestDedupWhenTheFileFails(t *testing.T) {
	t.Parallel()
	_, o := logged()
	q := openWith(t, newPath(t), o)
	s := q.Dedup()
	c, err := s.Claim(t.Context(), "k", time.Hour)
	require.NoError(t, err)
	script(t, q, "CREATE TEMP TRIGGER refuse BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'on purpose'); END")
	require.ErrorIs(t, s.Commit(t.Context(), "k", c.Token, time.Hour), ErrOther)
	script(t, q, "DROP TRIGGER refuse")
	require.NoError(t, s.Commit(t.Context(), "k", c.Token, time.Hour))
	require.ErrorIs(t, s.Commit(t.Context(), "k", c.Token, time.Hour), dedup.ErrLost)
}

// TestMailProgressOutlivesARestart: keys are told apart whatever is in them, and what was stored last counts.
func TestMailProgressOutlivesARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	q, err := Open(t.Context(), path, Options{})
	require.NoError(t, err)
	a, b := email.Key{Tenant: "acme", Route: "ops", Delivery: "d_1"}, email.Key{Tenant: "acm", Route: "eops", Delivery: "d_1"}
	_, found, err := q.MailProgress().Get(t.Context(), a)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, q.MailProgress().Put(t.Context(), a, []byte("one")))
	require.NoError(t, q.MailProgress().Put(t.Context(), a, []byte("two")))
	require.NoError(t, q.Close())
	q, err = Open(t.Context(), path, Options{})
	require.NoError(t, err)
	state, found, err := q.MailProgress().Get(t.Context(), a)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "two", string(state))
	_, found, err = q.MailProgress().Get(t.Context(), b)
	require.NoError(t, err)
	assert.False(t, found)
	require.NoError(t, q.Close())
	require.ErrorIs(t, q.MailProgress().Put(t.Context(), a, nil), ErrClosed)
}
