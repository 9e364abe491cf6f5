package apitest_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/config/snsconfig"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// The description is checked in for those who make clients: with all types of channels that there are. It is generated
// from the tables that the API goes by; run the tests with -update after a change of those.
func TestOpenAPIIsUpToDate(t *testing.T) {
	const file = "../openapi.json"
	made := manage.OpenAPI(config.NewRegistry(map[string]config.Type{"sns": snsconfig.TypeWith(sns.Credentials{})}))
	if *update {
		require.NoError(t, os.WriteFile(file, made, 0o600))
	}
	stored, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(stored), string(made))
}
