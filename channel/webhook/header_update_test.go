package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

func TestS51_HeaderSensitivityCannotBeTakenBack(t *testing.T) {
	t.Parallel()
	key := secret.Literal("Pl4nted-V4lue")
	stored := []webhook.Header{{Name: "X-Team", Value: "blue"}, {Name: "X-Api-Key", Secret: key}}
	for name, c := range map[string]struct {
		next  []webhook.Header
		moved bool
		want  []webhook.Header
		err   string
	}{
		"as shown and sent back":     {next: []webhook.Header{{Name: "X-Team", Value: "blue"}, {Name: "X-Api-Key", Secret: secret.Kept()}}, want: stored},
		"name in other case":         {next: []webhook.Header{{Name: "x-api-key", Secret: secret.Kept()}}, want: []webhook.Header{{Name: "x-api-key", Secret: key}}},
		"removed":                    {next: []webhook.Header{{Name: "X-Team", Value: "red"}}, want: []webhook.Header{{Name: "X-Team", Value: "red"}}},
		"marked later":               {next: []webhook.Header{{Name: "X-Team", Secret: key}}, want: []webhook.Header{{Name: "X-Team", Secret: key}}},
		"unmarked":                   {next: []webhook.Header{{Name: "X-Api-Key"}}, err: "cannot be undone"},
		"unmarked with a value":      {next: []webhook.Header{{Name: "x-API-key", Value: "new"}}, err: "cannot be undone"},
		"kept where none was":        {next: []webhook.Header{{Name: "X-Other", Secret: secret.Kept()}}, err: "no stored value"},
		"kept where it was readable": {next: []webhook.Header{{Name: "X-Team", Secret: secret.Kept()}}, err: "no stored value"},
		"kept for another server":    {next: []webhook.Header{{Name: "X-Api-Key", Secret: secret.Kept()}}, moved: true, err: "destination has changed"},
		"new value, another server":  {next: []webhook.Header{{Name: "X-Api-Key", Secret: key}}, moved: true, want: []webhook.Header{{Name: "X-Api-Key", Secret: key}}},
	} {
		got, err := webhook.UpdateHeaders(stored, c.next, !c.moved)
		if c.err != "" {
			var e *channel.ConfigError
			require.ErrorAs(t, err, &e, name)
			assert.ErrorContains(t, err, c.err, name)
			assert.Nil(t, got, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
}
