//go:build unix

package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// BenchmarkSend measures Send, with guard, time limits, redaction and receipt, beside its floor, a tuned net/http
// RoundTrip of the same bytes without any of it, in turns within one run: 64 in flight, a body of about 1 KiB, a
// receiver in another process. Compare cpu-ratio, which other load disturbs least; it should be at most 1.15, with at
// most 55 allocations and 2 new connections per 1,000 deliveries.
func BenchmarkSend(b *testing.B) { benchmarkSend(b, webhook.Signing{}) }

// BenchmarkSendSigned is BenchmarkSend with a signature, which the floor is without.
func BenchmarkSendSigned(b *testing.B) {
	benchmarkSend(b, webhook.Sign(signature.Standard, signingKey(newKey)))
}

func benchmarkSend(b *testing.B, signing webhook.Signing) {
	b.Helper()
	const inFlight, turn = 64, 4096
	target, accepted := startReceiver(b)

	hook := newChannel(b, webhook.Config{
		URL: target + "/hooks/T0P-S3CRET", Auth: webhook.Token(secret.Literal("Bearer T0P-S3CRET-2")), Sign: signing,
	})
	e, _ := event.Sample(event.TypeApplicationAccessRequested)
	d := channel.Delivery{Event: e, Route: channel.RouteID{Name: "on-call"}, Attempt: 1}
	send := func() error {
		_, err := hook.Send(context.Background(), d)
		return err
	}
	plain := floor(b, target+"/hooks/T0P-S3CRET", d.Event.JSON())

	work := func(n int, f func() error) cost {
		before := costs()
		var left atomic.Int64
		left.Store(int64(n))
		var wg sync.WaitGroup
		for range inFlight {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if err := f(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return costs().minus(before)
	}
	// Both start with their connections made.
	work(turn, plain)
	work(turn, send)

	var connections int
	var ours, theirs cost
	b.ResetTimer()
	for done := 0; done < b.N; done += turn {
		theirs = theirs.plus(work(turn, plain))
		before := accepted()
		ours = ours.plus(work(turn, send))
		connections += accepted() - before
	}
	b.StopTimer()
	n := float64((b.N + turn - 1) / turn * turn)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.cpu.Seconds()/theirs.cpu.Seconds(), "cpu-ratio")
	b.ReportMetric(ours.cpu.Seconds()/n*1e6, "cpu-µs")
	b.ReportMetric(theirs.cpu.Seconds()/n*1e6, "floor-cpu-µs")
	b.ReportMetric(n/ours.wall.Seconds(), "deliveries/s")
	b.ReportMetric(n/theirs.wall.Seconds(), "floor-deliveries/s")
	b.ReportMetric(float64(ours.allocations)/n, "allocs")
	b.ReportMetric(float64(theirs.allocations)/n, "floor-allocs")
	b.ReportMetric(float64(connections)/n*1000, "conns/1000")
}

// floor returns a function that posts body with nothing but a tuned transport.
func floor(b *testing.B, target string, body []byte) func() error {
	b.Helper()
	u, err := url.Parse(target)
	require.NoError(b, err)
	dialer := net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 256, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	header := http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"floor"}, "Authorization": {"Bearer T0P-S3CRET"}, "Webhook-Id": {"1"},
	}
	return func() error {
		resp, err := transport.RoundTrip(&http.Request{
			Method: http.MethodPost, URL: u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

// cost is what this process has used.
type cost struct {
	cpu, wall   time.Duration
	allocations uint64
}

func costs() cost {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{
		cpu:         time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		wall:        time.Duration(time.Now().UnixNano()),
		allocations: memory.Mallocs,
	}
}

func (c cost) minus(o cost) cost {
	return cost{c.cpu - o.cpu, c.wall - o.wall, c.allocations - o.allocations}
}
func (c cost) plus(o cost) cost {
	return cost{c.cpu + o.cpu, c.wall + o.wall, c.allocations + o.allocations}
}

// BenchmarkRendering counts the allocations of one Send for each way to make a request; the receiver is another
// process.
func BenchmarkRendering(b *testing.B) {
	target, _ := startReceiver(b)
	path := compile(b, template.URL, "/v1/{{data.friendly_id}}/events?about={{subject}}")
	body := webhook.TemplateBody(compile(b, template.JSON, `{"text":"{{data.requester.name}}: {{data.justification}}","data":{{json data}} }`))
	header := []webhook.Header{{Name: "X-Event", Template: compile(b, template.Header, "{{event_type}}")}}
	for _, bc := range []struct {
		name   string
		config webhook.Config
	}{
		{"plain", webhook.Config{URL: target + "/v1/events", Headers: []webhook.Header{{Name: "X-Event", Value: "x"}}}},
		{"body", webhook.Config{URL: target + "/v1/events", Body: body, Headers: []webhook.Header{{Name: "X-Event", Value: "x"}}}},
		{"form", webhook.Config{URL: target + "/v1/events", Body: webhook.FormBody(webhook.FormOptions{})}},
		{"structured", webhook.Config{URL: target + "/v1/events", Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam"})}},
		{"binary", webhook.Config{URL: target + "/v1/events", Body: webhook.CloudEvents(webhook.CloudEventsOptions{Source: "/pam", Binary: true})}},
		{"signed", webhook.Config{URL: target + "/v1/events", Sign: webhook.Sign(signature.Standard, signingKey(newKey))}},
		{"header", webhook.Config{URL: target + "/v1/events", Headers: header}},
		{"path", webhook.Config{URL: target, Path: path, Headers: []webhook.Header{{Name: "X-Event", Value: "x"}}}},
		{"all", webhook.Config{URL: target, Path: path, Body: body, Headers: header}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			hook := newChannel(b, bc.config)
			d := sample()
			_, err := hook.Send(context.Background(), d) // makes the connection and the decoded form
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hook.Send(context.Background(), d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
