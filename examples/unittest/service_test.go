package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/dispatchertest"
	"github.com/tocsin-go/tocsin/event"
)

func grant(id string) event.Grant {
	return event.Grant{AccessRequest: event.AccessRequest{ID: "request-1"}, Granted: event.Granted{ID: id}}
}

// What is dispatched: a Recorder stands in for the Engine.
func TestRevokeTellsWhoAndWhy(t *testing.T) {
	rec := new(dispatchertest.Recorder)
	s := NewService(rec, grant("grant-7"))

	require.NoError(t, s.Revoke(t.Context(), "grant-7", "usr-9", "left the team"))

	revoked := dispatchertest.Require[event.GrantRevoked](t, rec)
	assert.Equal(t, "grant-7", revoked.Granted.ID)
	assert.Equal(t, "usr-9", revoked.RevokedBy.ID)
	assert.Equal(t, "left the team", revoked.Reason)
	assert.Equal(t, "request-1", rec.Events()[0].Subject(), "one subject for all events about a request")
	dispatchertest.RequireNone[event.GrantExpired](t, rec)
}

// What happens when the event cannot be queued: the Recorder fails as scripted. The grant has ended all the same, and
// its event waits to be sent again.
func TestRevokeKeepsTheEventThatIsNotQueued(t *testing.T) {
	rec := new(dispatchertest.Recorder)
	full := &dispatcher.BacklogError{Lanes: []string{"slack"}}
	rec.Fail(full)
	s := NewService(rec, grant("grant-7"))

	require.ErrorAs(t, s.Revoke(t.Context(), "grant-7", "usr-9", "left the team"), &full)
	require.Error(t, s.Revoke(t.Context(), "grant-7", "usr-9", "left the team"), "it has ended")
	require.NoError(t, s.Send(t.Context()))
	dispatchertest.Require[event.GrantRevoked](t, rec)
}

// What happens when the client is gone: its request is cancelled right after the commit, and the event goes out.
func TestRevokeOutlivesItsRequest(t *testing.T) {
	slack := new(channeltest.Recorder)
	engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "slack", Channel: slack}}})
	require.NoError(t, err)
	go engine.Run(t.Context())
	s := NewService(engine, grant("grant-7"))
	request, cancel := context.WithCancel(t.Context())
	s.committed = cancel
	require.NoError(t, s.Revoke(request, "grant-7", "usr-9", "left the team"))
	require.NoError(t, slack.Wait(t.Context(), 1))
	require.NoError(t, engine.Shutdown(t.Context()))
}

// An event never speaks of what did not happen.
func TestNoEventWithoutACommit(t *testing.T) {
	rec := new(dispatchertest.Recorder)
	require.Error(t, NewService(rec).Revoke(t.Context(), "grant-7", "usr-9", "left the team"))
	dispatchertest.RequireNone[event.GrantRevoked](t, rec)
}

// How the product's routes behave: a real Engine, a fake channel that fails as scripted, and fake time, so that an
// hour's outage takes no time at all.
func TestRevocationSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slack := new(channeltest.Recorder)
		slack.Script(channeltest.Fail(errors.New("503")), channeltest.Hang(), channeltest.Panic("a bug"))
		engine, err := dispatcher.New(dispatcher.Config{Routes: []dispatcher.Route{{Name: "slack", Channel: slack}}})
		require.NoError(t, err)
		go engine.Run(t.Context())

		began := time.Now()
		s := NewService(engine, grant("grant-7"))
		require.NoError(t, s.Revoke(t.Context(), "grant-7", "usr-9", "left the team"))
		assert.Zero(t, time.Since(began), "the product never waits for Slack")

		require.NoError(t, slack.Wait(t.Context(), 4))
		synctest.Wait()
		require.NoError(t, engine.Shutdown(t.Context()))
		routes, err := engine.Status(t.Context(), dispatcher.StatusFilter{})
		require.NoError(t, err)
		assert.Equal(t, int64(1), routes[0].Delivered)
		assert.Equal(t, 4, slack.Deliveries()[3].Attempt)
	})
}
