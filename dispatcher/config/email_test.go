package config_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/dispatcher/config"
)

// A relay at an unusual port needs a policy of the host's that names the port; the default policy, which is about HTTP,
// does not say where relays are.
func TestRelayPortsAreThoseOfTheNamedPolicy(t *testing.T) {
	t.Parallel()
	o := config.Options{Limits: map[string]netguard.Limits{"default": {Ports: []int{443, 1026}}, "relay": {Ports: []int{1025}}}}
	for fields, problem := range map[string]string{
		"smtp_port: 587":                 "",
		"smtp_port: 1025":                "channels[0].smtp_port is not an allowed port",
		"smtp_port: 1026":                "channels[0].smtp_port is not an allowed port",
		"smtp_port: 1025, limits: relay": "",
		"smtp_port: 587, limits: relay":  "channels[0].smtp_port is not an allowed port; use one of 1025",
		"smtp_port: 587, limits: rely":   "channels[0].limits is not offered by the host",
	} {
		set, err := config.Load("a.yaml", fmt.Appendf(nil, "channels:\n"+
			"  - {type: email, name: mail, smtp_host: relay.example.com, from_address: a@example.com, to_addresses: [b@example.com], %s}\n", fields), o)
		if problem != "" {
			require.ErrorContains(t, err, problem, fields)
			continue
		}
		require.NoError(t, err, fields)
		require.NoError(t, set.Close())
	}
}
