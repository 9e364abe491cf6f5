package drivertest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/dispatcher/outbox"
)

// Connections that are cut in the middle cost repetitions and lose nothing.
func TestTerminatedConnections(t *testing.T) {
	t.Parallel()
	p := onPostgreSQL(t)
	h := newHost(t, p)
	relaying := p
	relaying.address += "&application_name=" + p.schema
	rec := new(dispatchertest.Recorder)
	runRelay(t, relaying.open(t), h.box, rec, new(lines))
	const rounds = 20
	for n := range rounds {
		h.changes(100*n, 100*(n+1))
		_, err := h.db.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", p.schema)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return h.waiting() == 0 }, time.Minute, 20*time.Millisecond)
	var ids []string
	for _, e := range rec.Events() {
		ids = append(ids, e.ID())
	}
	h.requireDelivered(ids)
}

// A relay that stands still for longer than its lease, and goes on, loses nothing and changes no order: another one
// took over.
func TestStoppedRelay(t *testing.T) {
	t.Parallel()
	p := onPostgreSQL(t)
	h := newHost(t, p)
	to := plan{p.dialect, p.driver, p.address, p.schema + "." + outbox.DefaultTable, filepath.Join(t.TempDir(), "delivered")}
	require.NoError(t, os.WriteFile(to.File, nil, 0o600))
	// Deletions are slow, so that a relay is likely to be stopped in the middle of one: its transaction stays open
	// then.
	h.exec("CREATE FUNCTION " + p.schema + ".slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END'")
	h.exec("CREATE TRIGGER slow AFTER DELETE ON " + to.Table + " EXECUTE FUNCTION " + p.schema + ".slow()")
	first, second := startRelay(t, to), startRelay(t, to)
	for n := range 4 {
		h.changes(200*n, 200*n+100)
		select {
		case <-first.relaying:
		case <-second.relaying:
			first, second = second, first
		}
		require.NoError(t, first.cmd.Process.Signal(syscall.SIGSTOP))
		h.changes(200*n+100, 200*n+200)
		require.Eventually(t, func() bool { return h.waiting() == 0 }, time.Minute, 10*time.Millisecond, "nobody took over")
		require.NoError(t, first.cmd.Process.Signal(syscall.SIGCONT))
		first, second = second, first
	}
	require.NoError(t, first.finish())
	require.NoError(t, second.finish())
	h.requireDelivered(readSink(t, to.File))
}

// Rows that were restored from another server have transaction ids that this one has not reached, or uses for others.
func TestRestoredRows(t *testing.T) {
	t.Parallel()
	p := onPostgreSQL(t)
	h := newHost(t, p)
	rec := new(dispatchertest.Recorder)
	tx, err := h.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	var want []string
	for n := range 1500 {
		want = append(want, fmt.Sprintf("fact-%d", n))
		require.NoError(t, h.box.Dispatch(t.Context(), outbox.SQL(tx), fact(want[n], 0)))
	}
	require.NoError(t, tx.Commit())
	h.exec("UPDATE " + p.schema + "." + outbox.DefaultTable + " SET xid = '9000000000000000000' WHERE id % 2 = 0")
	runRelay(t, h.db, h.box, rec, new(lines))
	require.NoError(t, rec.Wait(t.Context(), len(want)))
	require.Eventually(t, func() bool { return h.waiting() == 0 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, h.change(t.Context(), 10_001))
	require.NoError(t, rec.Wait(t.Context(), len(want)+1))
	var got []string
	for _, e := range rec.Events() {
		got = append(got, e.ID())
	}
	assert.Equal(t, append(want, "fact-10001"), got)
}

// With an Engine: a route whose backlog is full holds the outbox up and loses nothing, schedules and cancels arrive.
func TestEngine(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, p place) {
		h := newHost(t, p)
		let := make(chan struct{})
		fake := new(channeltest.Recorder)
		slow := channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			<-let
			return fake.Send(ctx, d)
		})
		engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{
			{Name: "slow", Channel: slow, Concurrency: 1, Backlog: dispatcher.Backlog{Jobs: 10}},
		}, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ran := make(chan error, 1)
		go func() { ran <- engine.Run(context.WithoutCancel(t.Context())) }()
		var want []string
		tx, err := h.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		exec := outbox.SQL(tx)
		for n := range 50 {
			want = append(want, fmt.Sprintf("fact-%d", n))
			require.NoError(t, h.box.Dispatch(t.Context(), exec, fact(want[n], 0)))
		}
		require.NoError(t, h.box.Schedule(t.Context(), exec, time.Now(), "due", fact("due", 0)))
		require.NoError(t, h.box.Schedule(t.Context(), exec, time.Now(), "cancelled", fact("cancelled", 0)))
		require.NoError(t, h.box.Cancel(t.Context(), exec, "cancelled"))
		require.NoError(t, tx.Commit())

		var logged lines
		ctx, stop := context.WithCancel(t.Context())
		relay := newRelay(t, h.db, h.box, engine, &logged)
		relayed := make(chan error, 1)
		go func() { relayed <- relay.Run(ctx) }()
		require.Eventually(t, func() bool { return logged.contain("the outbox waits, because the dispatcher refuses") }, time.Minute, 5*time.Millisecond)
		assert.Contains(t, logged.String(), "slow")
		close(let)
		require.Eventually(t, func() bool { return h.waiting() == 0 && len(fake.Deliveries()) == 51 }, time.Minute, 10*time.Millisecond)
		stop()
		require.NoError(t, <-relayed)
		require.NoError(t, engine.Shutdown(t.Context()))
		require.NoError(t, <-ran)
		var got []string
		for _, d := range fake.Deliveries() {
			got = append(got, d.Event.ID())
		}
		assert.Equal(t, append(want, "due"), got)
	})
}

// requireDelivered compares the ids that were delivered, some of them several times, with what was committed, per
// subject in its order.
func (h *host) requireDelivered(ids []string) (repeats int) {
	h.t.Helper()
	want, subject := h.committed()
	got, seen := map[int][]string{}, map[string]bool{}
	for _, id := range ids {
		of, known := subject[id]
		require.True(h.t, known, "%s was rolled back and delivered", id)
		if seen[id] {
			repeats++
			continue
		}
		seen[id] = true
		got[of] = append(got[of], id)
	}
	require.Equal(h.t, want, got)
	return repeats
}
