package webhook_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook"
)

// directVariable holds the URL that TestSendWithProxyInEnvironment, run in a child process, delivers to.
const directVariable = "WEBHOOK_TEST_DIRECT"

// net/http reads the proxy variables once in a process, so the test needs a process of its own.
func TestEnvironmentProxyIsIgnored(t *testing.T) {
	t.Parallel()
	var direct, proxied atomic.Int64
	receiver := serve(t, func(http.ResponseWriter, *http.Request) { direct.Add(1) })
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSendWithProxyInEnvironment$", "-test.v")
	child.Env = append(os.Environ(), "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "NO_PROXY=",
		// A proxy is never used for loopback addresses; the unspecified one is not of them, and leads there.
		directVariable+"="+strings.Replace(receiver, "127.0.0.1", "0.0.0.0", 1))
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, int64(1), direct.Load(), "%s", out)
	assert.Zero(t, proxied.Load(), "%s", out)
}

// TestSendWithProxyInEnvironment is the child's part of the test above. Outside the child it has nothing to check.
func TestSendWithProxyInEnvironment(t *testing.T) {
	target := os.Getenv(directVariable)
	if target == "" {
		return
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
	require.NoError(t, err)
	proxy, err := http.ProxyFromEnvironment(req)
	require.NoError(t, err)
	require.NotNil(t, proxy, "the environment does not ask for a proxy, so the test would prove nothing")

	_, err = newChannel(t, webhook.Config{URL: target}).Send(t.Context(), sample())
	require.NoError(t, err)
}
