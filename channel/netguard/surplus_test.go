package netguard

import (
	"bytes"
	"log"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a server sends beyond its answer is neither taken for the next one nor written to the log, where net/http would
// quote it. Not parallel, because the log is the process's.
func TestS32_S49_NothingBeyondTheAnswerIsUsedOrLogged(t *testing.T) {
	var logged bytes.Buffer
	before := log.Writer()
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(before) })
	server := newRawServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ns3cret"))
	c := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain})
	for range 3 {
		body, err := do(t, c, post(t, server.url, "x"))
		require.NoError(t, err)
		assert.Equal(t, "ok", body)
	}
	assert.EqualValues(t, 3, server.connections.Load(), "such a connection is not used again")
	assert.Empty(t, logged.String())
}
