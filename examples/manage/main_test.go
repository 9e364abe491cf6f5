package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program itself checks every answer.
func TestTheStory(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	require.NoError(t, run(ctx, &out), "%s", out.String())
	assert.Contains(t, out.String(), "ended at stage connect")
	assert.Contains(t, out.String(), "all 10 deliveries were verified")
	assert.NotContains(t, out.String(), "whsec_")
}

// The README shows this file whole, but for the package clause: a host's whole wiring.
func TestReadmeShowsThisHost(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("host.go")
	require.NoError(t, err)
	code := strings.TrimPrefix(string(source), "package main\n\n")
	assert.Contains(t, string(readme), "```go\n"+code+"```")
	assert.LessOrEqual(t, strings.Count(code, "\n"), 36, "30 lines with the imports")
}
