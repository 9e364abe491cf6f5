package netguard

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// interrupted is a body whose second half comes once the server has hung up.
type interrupted struct {
	halves [][]byte
	gone   <-chan struct{}
}

func (b *interrupted) Read(p []byte) (int, error) {
	if len(b.halves) == 0 {
		return 0, io.EOF
	}
	if len(b.halves) == 1 {
		<-b.gone
	}
	n := copy(p, b.halves[0])
	if b.halves[0] = b.halves[0][n:]; len(b.halves[0]) == 0 {
		b.halves = b.halves[1:]
	}
	return n, nil
}

// TestS32_EarlyResponse has a server that hangs up, perhaps after a response, without having read the request, which
// makes that a reset, while the client still writes. That a response outlives the reset is a property of Linux.
func TestS32_EarlyResponse(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"a response": "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "none": "", "half a response": "HTTP/1.1 40"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			server := newRawServer(t, func(conn net.Conn) {
				defer close(gone)
				_, _ = bufio.NewReaderSize(conn, 16).ReadByte()
				_, _ = io.WriteString(conn, answer)
				closeQuietly(conn)
			})
			half := bytes.Repeat([]byte("x"), largeBody/2)
			req := post(t, server.url, "")
			req.Body, req.ContentLength = io.NopCloser(&interrupted{[][]byte{half, half}, gone}), largeBody
			resp, err := newClient(t, loopbackGuard(t), ClientOptions{Limits: plain}).RoundTrip(req)
			if name != "a response" {
				e := requireKind(t, err, KindReset)
				assert.False(t, e.OutcomeUnknown, "it has not got all of the request")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, http.StatusForbidden, resp.StatusCode)
			text, _, err := ReadBody(resp, 10)
			require.NoError(t, err)
			assert.Equal(t, "no", string(text))
			assert.EqualValues(t, 1, server.connections.Load(), "one attempt is one request")
		})
	}
}
