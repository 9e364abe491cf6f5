package preset_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

type paged struct {
	Action   string `json:"event_action"`
	DedupKey string `json:"dedup_key"`
	Payload  struct {
		Summary, Severity string
	}
}

func pager(t *testing.T) func(e event.Event) paged {
	t.Helper()
	send := sender(t, products()[1])
	return func(e event.Event) paged {
		var p paged
		require.NoError(t, json.Unmarshal(send(e).body, &p))
		return p
	}
}

// TestPagerDutyActions: one incident per subject, which the lifecycle triggers, acknowledges and resolves.
func TestPagerDutyActions(t *testing.T) {
	t.Parallel()
	page := pager(t)
	for _, lifecycle := range []struct {
		subject string
		news    []event.Type
		actions string
	}{
		{"6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9", []event.Type{
			event.TypeRequestPending, event.TypeRequestApproved, event.TypeGrantActive, event.TypeGrantExpiringSoon, event.TypeGrantExpired,
		}, "trigger acknowledge acknowledge acknowledge resolve"},
		{"6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9", []event.Type{event.TypeRequestPending, event.TypeRequestDenied}, "trigger resolve"},
		{"6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9", []event.Type{event.TypeRequestPending, event.TypeRequestExpired}, "trigger resolve"},
		{"6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9", []event.Type{event.TypeRequestApproved, event.TypeGrantFailed}, "acknowledge trigger"},
		{"6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9", []event.Type{event.TypeRequestBreakGlass, event.TypeGrantRevoked}, "trigger resolve"},
		{"f3b6a1d2c4e54b0f9a7de1c08b5a6f21", []event.Type{
			event.TypeSessionStarted, event.TypeSessionMemberJoined, event.TypeSessionMemberLeft, event.TypeSessionEnded,
		}, "trigger trigger trigger resolve"},
		{"b7d9e0c4-51f3-4a86-8f0e-2c6f9d1a7e35", []event.Type{event.TypeApplicationAccessRequested, event.TypeApplicationAccessDecided}, "trigger resolve"},
		{"alert-66210", []event.Type{event.TypeAlertOpened, event.TypeAlertAcknowledged, event.TypeAlertResolved}, "trigger acknowledge resolve"},
		{"alert-66210", []event.Type{event.TypeAlertOpened, event.TypeAlertAutoResolved}, "trigger resolve"},
		{"ticket-system", []event.Type{event.TypeChannelFailing, event.TypeChannelDisabled, event.TypeDeliveryDead, event.TypeChannelRecovered}, "trigger trigger trigger resolve"},
	} {
		var actions []string
		for _, typ := range lifecycle.news {
			p := page(sample(t, typ))
			assert.Equal(t, lifecycle.subject, p.DedupKey, typ)
			actions = append(actions, p.Action)
		}
		assert.Equal(t, lifecycle.actions, strings.Join(actions, " "), lifecycle.news)
	}
}

// TestPagerDutyBreakGlassIsNotSilenced: the access of somebody whom nobody approved becomes active right after the
// page, which must not count as "somebody works on it".
func TestPagerDutyBreakGlassIsNotSilenced(t *testing.T) {
	t.Parallel()
	page := pager(t)
	emergency, err := event.Decode[event.RequestBreakGlass](sample(t, event.TypeRequestBreakGlass))
	require.NoError(t, err)
	opened := page(event.Must(emergency, event.Meta{}))
	assert.Equal(t, "trigger", opened.Action)
	assert.Equal(t, "critical", opened.Payload.Severity)

	grant := event.Grant{AccessRequest: emergency.AccessRequest}
	active := page(event.Must(event.GrantActive{Grant: grant}, event.Meta{}))
	assert.Equal(t, opened.DedupKey, active.DedupKey)
	assert.Equal(t, "trigger", active.Action)
	assert.Equal(t, "trigger", page(event.Must(event.GrantExpiringSoon{Grant: grant}, event.Meta{})).Action)
	assert.Equal(t, "resolve", page(event.Must(event.GrantExpired{Grant: grant}, event.Meta{})).Action)
	assert.Equal(t, "trigger", page(event.Must(payload{"grant.active", map[string]any{"approvals": 7}}, event.Meta{Subject: "s"})).Action)
}

func TestPagerDutyDedupKey(t *testing.T) {
	t.Parallel()
	page := pager(t)
	key := func(m event.Meta) string { return page(event.Must(payload{"host.note", map[string]any{}}, m)).DedupKey }

	assert.Equal(t, "req-7", key(event.Meta{Subject: "req-7"}))
	assert.Equal(t, "//evt-1", key(event.Meta{ID: "evt-1"}), "about nothing: the event itself, whatever others are about")
	assert.Equal(t, "acme/req-7", key(event.Meta{Subject: "req-7", Tenant: "acme"}))
	assert.NotEqual(t, key(event.Meta{Subject: "req-7", Tenant: "acme"}), key(event.Meta{Subject: "req-7", Tenant: "umbrella"}),
		"one tenant does not resolve another's incident")
	assert.NotEqual(t, key(event.Meta{Subject: "emea/req-7", Tenant: "acme"}), key(event.Meta{Subject: "req-7", Tenant: "acme/emea"}),
		"nor by a name with a slash")
	long := event.Meta{Subject: strings.Repeat("s", 255), Tenant: strings.Repeat("t", 255)}
	other := event.Meta{Subject: strings.Repeat("s", 254) + "x", Tenant: long.Tenant}
	assert.Len(t, key(long), 255)
	assert.NotEqual(t, key(long), key(other), "what is cut off is still told apart")
}
