package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program's claims are checked at the receivers, not in what it prints.
func TestWhatArrived(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	s, err := run(ctx, &out)
	require.NoError(t, err, "%s", out.String())
	one := func(system string) request {
		t.Helper()
		took := s.systems.took(system)
		require.Len(t, took, 1, system)
		return took[0]
	}

	tickets := one("tickets")
	assert.Equal(t, http.MethodPut, tickets.method, "style 1")
	assert.Equal(t, "platform", tickets.header.Get("X-Team"))
	assert.Contains(t, tickets.body, `"requester": "Priya Nair <priya.nair@example.com>"`)
	assert.Equal(t, "/chat/T0451/not-a-real-hook", one("chat").uri, "style 2: the repeated event is suppressed")
	mail := one("mail")
	assert.Equal(t, "Bearer SG.not-a-real-key", mail.header.Get("Authorization"), "style 4")
	assert.NotContains(t, mail.body, "%%")
	alert := one("alerts")
	assert.Equal(t, "/alerts/not-a-real-token", alert.uri, "style 5")
	assert.Equal(t, "not-a-real-key", alert.header.Get("X-Api-Key"))
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(alert.body), &fields))
	assert.Len(t, fields, 17)

	var sessions []string
	for _, q := range s.systems.took("siem") {
		form, err := url.ParseQuery(q.body)
		require.NoError(t, err)
		sessions = append(sessions, form.Get("event"))
	}
	assert.Equal(t, []string{"session.started", "session.ended", "session.member_joined", "session.member_left"}, sessions,
		"style 3: what was missed comes in its order, once it is redelivered")
	var subjects []string
	for _, m := range s.mailbox.Mails() {
		subjects = append(subjects, m.Subject)
	}
	assert.Equal(t, []string{"Notifications to siem are failing", "Notifications to siem work again"}, subjects)
}

// Status and history agree with what happened, and show no secret of the document.
func TestWhatIsShown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	s, err := run(ctx, &out)
	require.NoError(t, err, "%s", out.String())

	routes, err := s.engine.Status(ctx, dispatcher.StatusFilter{})
	require.NoError(t, err)
	for _, r := range routes {
		assert.Equal(t, "OK", r.Health(), r.Route.Name)
		assert.Zero(t, r.Queued+r.InFlight+r.DeadLetters, r.Route.Name)
	}
	dead, err := s.store.Query(ctx, history.Query{Tenant: dispatcher.AnyTenant, Outcomes: []dispatcher.Outcome{dispatcher.Dead}})
	require.NoError(t, err)
	assert.Len(t, dead, 2)
	skipped, err := s.store.Query(ctx, history.Query{Tenant: "acme", Outcomes: []dispatcher.Outcome{dispatcher.Skipped}})
	require.NoError(t, err)
	assert.Len(t, skipped, 1)

	assert.Equal(t, 2, strings.Count(out.String(), "ROUTE    TENANT  DESTINATION"), "the status table, during and after")
	assert.Contains(t, out.String(), "failing since")
	assert.Contains(t, out.String(), "/alerts/{token}")
	assert.NotContains(t, out.String(), "not-a-real-")
}
