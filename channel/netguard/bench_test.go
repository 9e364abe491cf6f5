//go:build unix

package netguard

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func startBenchmarkServer(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServerEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeQuietly(in); _ = cmd.Wait() })
	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(line[:n]))
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRoundTrip sends 1 KiB bodies, 64 at a time, in turns with a tuned http.Transport and with a Client, and
// reports the medians of this process's CPU time per request, and their ratio.
func BenchmarkRoundTrip(b *testing.B) {
	target := startBenchmarkServer(b)
	body := bytes.Repeat([]byte("x"), 1<<10)
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {DefaultUserAgent}, "Webhook-Id": {"msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"}}

	tuned := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(tuned.CloseIdleConnections)
	g, err := New(Profile{Loopback: true}, nil)
	if err != nil {
		b.Fatal(err)
	}
	client, err := g.Client(ClientOptions{Limits: plain})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)

	request := func(ctx context.Context) *http.Request {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			b.Error(err)
		}
		req.Header = header
		return req
	}
	floor := func(ctx context.Context) {
		resp, err := tuned.RoundTrip(request(ctx))
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	guarded := func(ctx context.Context) {
		resp, err := client.RoundTrip(request(ctx))
		if err != nil {
			b.Error(err)
			return
		}
		if _, _, err := ReadBody(resp, 64<<10); err != nil {
			b.Error(err)
		}
	}
	run := func(n int, send func(context.Context)) time.Duration {
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second) // as a dispatcher sets it
		defer cancel()
		var left atomic.Int64
		left.Store(int64(n))
		before := cpuTime(b)
		var senders sync.WaitGroup
		for range 64 {
			senders.Go(func() {
				for left.Add(-1) >= 0 {
					send(ctx)
				}
			})
		}
		senders.Wait()
		return cpuTime(b) - before
	}
	run(1000, floor)
	run(1000, guarded)
	const turn = 2000
	var floors, guardeds []float64
	for b.Loop() {
		f, g := run(turn, floor), run(turn, guarded)
		floors = append(floors, f.Seconds()*1e6/turn)
		guardeds = append(guardeds, g.Seconds()*1e6/turn)
	}
	b.ReportMetric(median(floors), "floor-µs")
	b.ReportMetric(median(guardeds), "guarded-µs")
	b.ReportMetric(median(guardeds)/median(floors), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkAllocations counts what a guarded round trip allocates beside a plain one; the server is another process.
func BenchmarkAllocations(b *testing.B) {
	target := startBenchmarkServer(b)
	g, err := New(Profile{Loopback: true}, nil)
	if err != nil {
		b.Fatal(err)
	}
	client, err := g.Client(ClientOptions{Limits: plain})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	tuned := &http.Transport{}
	b.Cleanup(tuned.CloseIdleConnections)
	for name, trip := range map[string]func(*http.Request) (*http.Response, error){"plain": tuned.RoundTrip, "guarded": client.RoundTrip} {
		b.Run(name, func(b *testing.B) {
			ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader("x"))
				if err != nil {
					b.Fatal(err)
				}
				req.Header["User-Agent"] = client.userAgent
				resp, err := trip(req)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := ReadBody(resp, 64<<10); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkControl is the verdict on one address.
func BenchmarkControl(b *testing.B) {
	g, err := New(PrivateNetworks(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Control(b.Context(), "tcp4", "93.184.216.34:443", nil); err != nil {
			b.Fatal(err)
		}
	}
}
