package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheFiveStyles(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	parts := strings.Split(out.String(), "── ")
	require.Len(t, parts, 6)
	for i, says := range [][]string{
		{"  PUT /access-requests\n", "X-Team: platform\n", `"requester": "Priya Nair <priya.nair@example.com>"`, "→ 200 OK"},
		{"  POST /notifications\n", `"event_type": "request.pending"`, `"tenant": "acme"`, "→ 204 No Content"},
		{"  POST /outbound\n", "  event = request.pending\n", "  version = 1\n", "  timestamp = 1", "  cost_center = 4711\n", "  username = priya.nair@example.com\n", "→ 200 OK"},
		{"  POST /v3/mail/send\n", "  Authorization: Bearer SG.not-a-real-key\n", `"subject": "Priya Nair asks for access"`, "/requests/AR-2047?from=mail", "→ 202 Accepted", "Authorization: [redacted]"},
		{"  POST /alerts/tok-5ecret-7\n", "  X-Api-Key: api-5ecret-8\n", `"status": "Open"`, "→ 200 OK", "/alerts/{token}, X-Api-Key: [redacted]"},
	} {
		for _, text := range says {
			assert.Contains(t, parts[i+1], text)
		}
	}
	// The fifth body is short enough to be printed whole.
	_, body, _ := strings.Cut(parts[5], "\n\n  {")
	body, _, _ = strings.Cut(body, "\n\n")
	var alert map[string]any
	require.NoError(t, json.Unmarshal([]byte("{"+body), &alert), body)
	assert.Len(t, alert, 17)
}
