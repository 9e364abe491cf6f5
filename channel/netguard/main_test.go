package netguard

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServerEnv) != "" {
		serveBenchmark(os.Stdout, os.Stdin)
		return
	}
	goleak.VerifyTestMain(m)
}

func closeQuietly(c io.Closer) { _ = c.Close() }

const benchServerEnv = "TOCSIN_BENCH_SERVER"

// serveBenchmark is the receiver, in a process of its own so that its CPU time is not counted. It prints its address
// and ends with its input.
func serveBenchmark(out io.Writer, in io.Reader) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"ok":true}`)
	})}
	go func() { _ = server.Serve(l) }()
	_, _ = io.WriteString(out, "http://"+l.Addr().String()+"\n")
	_, _ = io.Copy(io.Discard, in)
}
