package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program's claims are checked at the receivers, not in what it prints.
func TestWhatEachTenantReceived(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	var unrouted []string
	s, err := run(ctx, &out, dispatcher.Observer{Unrouted: func(e event.Event, _ dispatcher.Reason) { unrouted = append(unrouted, e.Tenant()) }})
	require.NoError(t, err, "%s", out.String())

	for i, want := range []map[string][]string{
		{"POST /tickets": {`{"summary": "AR-1 by Priya Nair"}`, `{"summary": "Ticket AR-2 of Priya Nair"}`, `{"summary": "Ticket AR-3 of Priya Nair"}`}},
		{"PUT /tickets": {
			`{"title": "AR-1", "who": "priya.nair@example.com"}`, `{"title": "AR-2", "who": "priya.nair@example.com"}`, `{"title": "AR-3", "who": "priya.nair@example.com"}`,
		}},
		{"POST /tickets": {`{"text": "priya.nair@example.com asks for access: AR-1"}`, `{"text": "priya.nair@example.com asks for access: AR-2"}`}},
	} {
		tenant, audits, got := s.tenants[i], 0, map[string][]string{}
		for _, r := range tenant.receiver.Requests() {
			if r.URI == "/audit" {
				e, err := event.Parse(r.Body)
				require.NoError(t, err)
				assert.Equal(t, tenant.Tenant, e.Tenant())
				audits++
				continue
			}
			assert.Equal(t, "Bearer not-a-real-token-of-"+tenant.Tenant, r.Header.Get("Authorization"), "kept by the edit, too")
			got[r.Method+" "+r.URI] = append(got[r.Method+" "+r.URI], string(r.Body))
		}
		assert.Equal(t, want, got, "each once, also what hung")
		for _, tickets := range want {
			assert.Len(t, tickets, audits)
		}
	}
	assert.Equal(t, []string{"initech"}, unrouted, "it is removed by then")
	routes, err := s.Status(ctx, dispatcher.StatusFilter{})
	require.NoError(t, err)
	delivered := map[string]int64{}
	for _, r := range routes {
		delivered[r.Route.String()] = r.Delivered
	}
	assert.Equal(t, map[string]int64{"acme/tickets": 2, "acme/audit": 3, "globex/tickets": 3, "globex/audit": 3}, delivered,
		"only the channel that was edited counts anew")

	lines := strings.Split(out.String(), "\n")
	assert.LessOrEqual(t, len(lines), 32)
	for _, line := range lines {
		assert.LessOrEqual(t, len(line), 100, line)
	}
	assert.NotContains(t, out.String(), "not-a-real-")
}
