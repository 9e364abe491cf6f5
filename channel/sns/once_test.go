package sns_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/sns"
	"github.com/tocsin-go/tocsin/retry"
)

// The SDK would try three times by itself.
func TestS67_OneAttemptIsOneRequest(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		code   string
	}{{500, "InternalError"}, {503, "ServiceUnavailable"}, {502, ""}, {400, "Throttling"}, {429, "Throttled"}, {400, "RequestTimeout"}, {403, "ExpiredToken"}} {
		aws := newCloud()
		aws.answer = func(w http.ResponseWriter, _ int, _ url.Values) bool {
			fail(w, row.status, row.code, "")
			return true
		}
		ch := open(t, sns.Config{Endpoint: serve(t, aws)})
		for n := 1; n <= 3; n++ {
			_, err := ch.Send(t.Context(), sample())
			require.Error(t, err)
			assert.Len(t, aws.seen(), n, "%d %s", row.status, row.code)
		}
	}
}

// dropper is a server below HTTP that answers the first request of a connection and closes the connection when the
// second has come, or with early set before that, or in the middle of its response.
type dropper struct {
	early, midway bool

	mu       sync.Mutex
	requests int
}

func (d *dropper) serve(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				d.talk(conn)
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

func (d *dropper) talk(conn net.Conn) {
	const answer = `<PublishResponse><PublishResult><MessageId>` + messageID + `</MessageId></PublishResult></PublishResponse>`
	in := bufio.NewReader(conn)
	for n := 1; ; n++ {
		if d.early && n == 2 {
			if _, err := in.ReadByte(); err != nil { // wait until it begins
				return
			}
			d.count()
			return
		}
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		d.count()
		switch {
		case n == 1:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(answer))+"\r\n\r\n"+answer)
		case d.midway:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(answer))+"\r\n\r\n"+answer[:60])
			return
		default:
			return
		}
	}
}

func (d *dropper) count() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
}

func (d *dropper) seen() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests
}

// On a kept-alive connection that breaks with the second request, neither net/http nor the SDK sends it again.
func TestS27_S35_ABrokenConnectionIsNoSecondRequest(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]*dropper{"before the response": {}, "in the request": {early: true}, "in the response": {midway: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := open(t, sns.Config{Endpoint: d.serve(t)})
			_, err := ch.Send(t.Context(), sample())
			require.NoError(t, err)
			receipt, err := ch.Send(t.Context(), sample())
			require.Error(t, err)
			assert.Equal(t, 2, d.seen(), "the server's count is ours")
			assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)
			assert.Contains(t, []netguard.Kind{netguard.KindEOF, netguard.KindReset}, failure(t, err).Kind)
			assert.Empty(t, receipt.ProviderID)
			assert.NotNil(t, receipt.Request)
			if !d.early { // there it may not have been written to its end
				assert.True(t, receipt.OutcomeUnknown)
			}
		})
	}
}

func TestTimeoutsNameTheirPhaseAndAreUnknownOnceWritten(t *testing.T) {
	t.Parallel()
	silent := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	ch := open(t, sns.Config{Endpoint: silent, Timeouts: netguard.Timeouts{Header: 100 * time.Millisecond}})
	receipt, err := ch.Send(t.Context(), sample())
	assert.Equal(t, netguard.KindHeaderTimeout, failure(t, err).Kind)
	assert.True(t, receipt.OutcomeUnknown)
	assert.Equal(t, retry.VerdictTransient, retry.Classify(t.Context(), err).Verdict)

	drip := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	ch = open(t, sns.Config{Endpoint: drip, Timeouts: netguard.Timeouts{Total: 150 * time.Millisecond}})
	receipt, err = ch.Send(t.Context(), sample())
	assert.Equal(t, netguard.KindBodyTimeout, failure(t, err).Kind)
	assert.True(t, receipt.OutcomeUnknown)
	assert.Equal(t, http.StatusOK, receipt.Status)
}

func TestNothingListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	receipt, err := open(t, sns.Config{Endpoint: "http://" + l.Addr().String()}).Send(t.Context(), sample())
	assert.Equal(t, netguard.KindConnect, failure(t, err).Kind)
	assert.False(t, receipt.OutcomeUnknown)
	assert.Contains(t, string(receipt.Request.Body), "Action=Publish", "what was to be sent")
}

// A response is read up to a limit, whatever its length.
func TestS31_ALongAnswerIsCut(t *testing.T) {
	t.Parallel()
	ch := open(t, sns.Config{Endpoint: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}))})
	receipt, err := ch.Send(t.Context(), sample())
	assert.Equal(t, http.StatusBadGateway, failure(t, err).Status)
	assert.Len(t, receipt.Response.Body, 64<<10)
	assert.True(t, receipt.Response.Truncated)
}
