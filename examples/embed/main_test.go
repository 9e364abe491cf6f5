package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
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

// The README shows this program's code: the blocks must be the same to the letter, apart from indentation.
func TestReadmeShowsThisProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	regions := regexp.MustCompile(`(?s)// README: (\w+)\n(.*?)\n\t// README: end`).FindAllStringSubmatch(string(source), -1)
	require.Len(t, regions, 2)
	for _, r := range regions {
		code := strings.ReplaceAll(strings.TrimPrefix(r[2], "\t"), "\n\t", "\n")
		assert.Contains(t, string(readme), "```go\n"+code+"\n```", r[1])
		assert.LessOrEqual(t, strings.Count(code, "\n")+1, 12, "%s: at most 12 lines", r[1])
	}
}
