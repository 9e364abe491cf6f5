package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// byEvent gathers the answers to each webhook-id, in order of arrival.
func byEvent(r *receiver) map[string][]request {
	all := map[string][]request{}
	for _, q := range r.requests() {
		all[q.webhookID] = append(all[q.webhookID], q)
	}
	return all
}

func count(r *receiver, eventType string) (n int) {
	for _, q := range r.requests() {
		if q.eventType == eventType {
			n++
		}
	}
	return n
}

// The program's claims are checked at the receivers, not in what it prints.
func TestWhatArrived(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	attempted := make(chan dispatcher.Attempt, 8)
	settled := make(chan dispatcher.Settlement, 8)
	r, err := run(ctx, &out, dispatcher.Observer{
		Attempted: func(a dispatcher.Attempt) {
			if a.Delivery.Route.Name == "metadata" {
				attempted <- a
			}
		},
		Settled: func(s dispatcher.Settlement) {
			if s.Delivery.Route.Name == "metadata" {
				settled <- s
			}
		},
	})
	require.NoError(t, err, "%s", out.String())

	assert.Equal(t, 1, count(r.chat, "request.pending"), "the repeated event is suppressed where dedup is on")
	assert.Equal(t, 1, count(r.chat, "grant.active"))
	assert.Equal(t, 1, count(r.chat, "grant.expiring_soon"), "one reminder fires, the other was cancelled")
	assert.Len(t, r.chat.requests(), 3)

	tickets := byEvent(r.tickets)
	assert.Len(t, tickets, 4, "the repeated event has an id of its own and no dedup here")
	for id, attempts := range tickets {
		require.Len(t, attempts, 3, id)
		assert.Equal(t, []int{503, 503, 200}, []int{attempts[0].status, attempts[1].status, attempts[2].status},
			"retried, then delivered, all under one webhook-id")
	}
	legacy := byEvent(r.legacy)
	assert.Len(t, legacy, 4)
	for id, attempts := range legacy {
		assert.Len(t, attempts, 3, "%s: dead after its policy's three attempts", id)
		assert.Equal(t, http.StatusInternalServerError, attempts[2].status)
	}
	assert.NotEmpty(t, r.pager.requests(), "the pager was asked, never answered, and held nobody up")
	for _, q := range r.pager.requests() {
		assert.Zero(t, q.status)
	}

	require.Len(t, attempted, 1, "S11: the refusal is permanent: one attempt, though the policy allows three")
	refusal := <-attempted
	require.ErrorIs(t, refusal.Err, netguard.ErrDestinationBlocked, "S5: metadata is refused although loopback is allowed")
	assert.Equal(t, retry.VerdictPermanent, refusal.Verdict)
	assert.NotNil(t, refusal.Receipt.Request, "what was to be sent")
	assert.Zero(t, refusal.Receipt.Status)
	require.Len(t, settled, 1)
	assert.Equal(t, dispatcher.Dead, (<-settled).Outcome)
	assert.Contains(t, out.String(), "refused:\n      POST http://169.254.169.254: destination 169.254.169.254 is not allowed by the outbound policy")
	assert.Regexp(t, `metadata +0 +0 +1 +1 +0`, out.String(), "the table at the end")
}
