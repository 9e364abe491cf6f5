package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is printed between the headings is what would be sent; the hostile justification must not have left its place.
func TestWhatIsRendered(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	parts := regexp.MustCompile(`(?s)── [^─]+ ──\n(.*?)\n\n`).FindAllStringSubmatch(out.String(), -1)
	require.GreaterOrEqual(t, len(parts), 3)

	e, err := request()
	require.NoError(t, err)
	justification := e.Decoded()["data"].(map[string]any)["justification"].(string)

	var body struct {
		Reason    string
		Resources []struct{ Name, Permission string }
		Approved  *bool
	}
	require.NoError(t, json.Unmarshal([]byte(parts[0][1]), &body))
	assert.Equal(t, justification, body.Reason)
	assert.Nil(t, body.Approved, "no key is injected")
	assert.Len(t, body.Resources, 3)

	var mail struct {
		Content []struct{ Value string }
	}
	require.NoError(t, json.Unmarshal([]byte(parts[1][1]), &mail))
	require.Len(t, mail.Content, 1)
	assert.Contains(t, mail.Content[0].Value, justification)

	assert.NotContains(t, parts[2][1], "<", "no mention or link comes from data")
	assert.Contains(t, parts[2][1], "&lt;!channel&gt;")
}
