package event_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func TestCheckFindsMisspeltTypes(t *testing.T) {
	t.Parallel()
	for pattern, like := range map[string]string{
		"request.pendin": "request.pending", "reqeust.pending": "request.pending", "requests.pending": "request.pending",
		"request.break_glas": "request.break_glass", "request.breakglass": "request.break_glass", "grant.revoke": "grant.revoked",
		"session.start": "session.started", "alert.open": "alert.opened", "requests.*": "request.*", "sesion.*": "session.*",
		"application_access.request": "application_access.requested",
	} {
		f := event.All(event.Types("grant.active", pattern))
		require.NoError(t, f.Err(), "it is a pattern")
		var invalid *event.InvalidError
		require.ErrorAs(t, f.Validate(), &invalid, pattern)
		assert.Equal(t, "patterns[1]", invalid.Field)
		assert.Contains(t, invalid.Problem, pattern)
		assert.Contains(t, invalid.Remedy, `did you mean "`+like+`"`)
		require.ErrorAs(t, event.Not(f).Validate(), &invalid, "inside of others: %s", pattern)
	}
	for _, pattern := range []string{"tocsin.channel_fail", "tocsin.unheard_of"} {
		require.Error(t, event.Types(pattern).Validate(), "no host has such a type: %s", pattern)
	}
	for _, typ := range event.Catalogue() {
		require.NoError(t, event.Types(string(typ)).Validate())
	}
	require.NoError(t, event.Filter{}.Validate())
	require.NoError(t, event.Any(event.Types("request.*", "tocsin.*", "*"), event.WithAttribute("x")).Validate())
	require.Error(t, event.Types("Request.Pending").Validate(), "what Err reports")
}

func TestCheckTakesTypesOfTheHost(t *testing.T) {
	t.Parallel()
	hosts := []string{
		"vault.key_rotated", "vault.*", "request.reopened", "request.escalated", "session.paused", "alarm.raised", "alarm.*", "host.note", "a.b", "agent.*",
	}
	require.NoError(t, event.Types(hosts...).Validate(), "without a list of them")

	own := []event.Type{"vault.key_rotated", "request.approve"}
	require.NoError(t, event.Types("vault.*", "vault.key_rotated", "request.approve", "request.approved").Validate(own...), "named, however alike")
	for _, pattern := range []string{"vault.key_rotate", "vault.secret_read", "vaults.*", "host.note"} {
		require.Error(t, event.Types(pattern).Validate(own...), "with a list nothing else is taken: %s", pattern)
	}
}
