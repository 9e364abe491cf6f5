package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
	"github.com/tocsin-go/tocsin/dispatcher/queue/sqlitequeue"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// The queue, its dedup store and its history share a file: a program that is restarted knows what it tried, and
// delivers it again, byte for byte.
func TestHistoryOutlastsARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "events.db")
	var rec channeltest.Recorder
	rec.Script(channeltest.Fail(retry.Permanent(errDown)))
	// once runs the program until one delivery is over.
	once := func(start func(*dispatcher.Engine, history.Store)) {
		q, err := sqlitequeue.Open(t.Context(), file, sqlitequeue.Options{})
		require.NoError(t, err)
		recorder, err := history.NewRecorder(q.History(), history.Options{})
		require.NoError(t, err)
		settled := make(chan struct{}, 1)
		engine, err := dispatcher.New(dispatcher.Config{
			Queue: q, DedupStore: q.Dedup(), Logger: slog.New(slog.DiscardHandler),
			Routes:    []dispatcher.Route{{Name: "r", Tenant: "acme", Channel: &rec}},
			Observers: []dispatcher.Observer{recorder.Observer(), {Settled: func(dispatcher.Settlement) { settled <- struct{}{} }}},
		})
		require.NoError(t, err)
		ran := make(chan error, 1)
		go func() { ran <- engine.Run(context.WithoutCancel(t.Context())) }()
		start(engine, q.History())
		<-settled
		require.NoError(t, engine.Shutdown(t.Context()))
		require.NoError(t, <-ran)
		require.NoError(t, recorder.Close(t.Context()))
		require.NoError(t, q.Close())
	}
	e := event.Must(event.GrantRevoked{Reason: "<b>\"left\" & gone</b>"}, event.Meta{Tenant: "acme"})
	once(func(engine *dispatcher.Engine, _ history.Store) {
		require.NoError(t, engine.Dispatch(t.Context(), e))
	})
	once(func(engine *dispatcher.Engine, s history.Store) {
		dead, err := s.Query(t.Context(), history.Query{Tenant: "acme", Outcomes: []dispatcher.Outcome{dispatcher.Dead}})
		require.NoError(t, err)
		require.Len(t, dead, 1)
		assert.Equal(t, "permanent failure: receiver is down", dead[0].Reason)
		require.NoError(t, dead[0].Redeliver(t.Context(), engine))
	})
	all := rec.Deliveries()
	require.Len(t, all, 2)
	assert.Equal(t, e.JSON(), all[1].Event.JSON())
	assert.Equal(t, all[0].ID(), all[1].ID())
}
