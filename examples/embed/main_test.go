package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program really gets SIGTERM while its deliveries are under way: all that is due arrives, the rest is reported.
func TestSigtermDeliversWhatIsDue(t *testing.T) {
	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer receiver.Close()
	var out bytes.Buffer
	require.NoError(t, run(receiver.URL, &out))
	assert.Equal(t, int64(burst), arrived.Load())
	assert.Contains(t, out.String(), `"tocsin.schedule" 1 queued`, "tomorrow's reminder is named as left")
}

// The README shows these files whole, but for the package clause, so that what a reader copies compiles.
func TestReadmeShowsThisProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for _, name := range []string{"start.go", "shutdown.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		code := strings.TrimPrefix(string(source), "package main\n\n")
		assert.Contains(t, string(readme), "```go\n"+code+"```", name)
		body := code[strings.Index(code, "\nfunc "):]
		assert.LessOrEqual(t, strings.Count(body, "\n")-3, 12, "%s: at most 12 lines of wiring", name)
	}
}
