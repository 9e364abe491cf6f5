package sns_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Hosts that do not use this channel inherit nothing of the SDK.
func TestTheCoreModuleDoesNotKnowTheSDK(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"go.mod", "go.sum"} {
		core, err := os.ReadFile("../../" + name)
		require.NoError(t, err)
		own, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, module := range []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"} {
			assert.NotContains(t, string(core), module)
			assert.Contains(t, string(own), module)
		}
	}
}
