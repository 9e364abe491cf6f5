package config_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/dispatcher/internal/heap"
)

// ofTenant is what a tenant has: three webhooks, each with a mask, a header, a token and a template, and their routes.
func ofTenant(tenant int) []byte {
	var b strings.Builder
	b.WriteString("channels:\n")
	for i := range 3 {
		fmt.Fprintf(&b, `
  - type: webhook
    name: hook-%[2]d
    url: https://t%[1]d.example.com/hooks/{key}
    masks: [{replacement: "{key}", value: not-a-real-key-%[1]d-%[2]d}]
    headers: [{name: X-Source, value: pam}]
    auth: {kind: bearer, token: not-a-real-token-%[1]d-%[2]d}
    body: {kind: template, template: '{"summary": "{{data.justification}}", "id": "{{id}}"}'}
`, tenant, i)
	}
	b.WriteString("routes:\n")
	for i := range 3 {
		fmt.Fprintf(&b, "  - {name: hook-%[1]d, channel: hook-%[1]d, events: [request.*, grant.revoked], retry: {count: 3}, dedup: {window: 2h}, alerts: {after: 10m, resend: 1h, to: [hook-%[2]d]}}\n", i, (i+1)%3)
	}
	return []byte(b.String())
}

// runningEngine starts an Engine. end stops it and closes the Sets that were in force.
func runningEngine(tb testing.TB) (engine *dispatcher.Engine, end func([]*config.Set)) {
	tb.Helper()
	engine, err := dispatcher.New(dispatcher.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(context.Background()) }()
	return engine, func(sets []*config.Set) {
		require.NoError(tb, engine.Shutdown(context.Background()))
		require.NoError(tb, <-ended)
		for _, set := range sets {
			require.NoError(tb, set.Close())
		}
	}
}

// inForce loads the documents of n tenants and puts them in force in an Engine that runs. It returns how many bytes
// each route takes, with all that belongs to it, and of these the Set.
func inForce(tb testing.TB, n int) (all, ofSet float64) {
	tb.Helper()
	engine, end := runningEngine(tb)
	load := func(i int) *config.Set {
		set, err := config.Load("a.yaml", ofTenant(i), config.Options{Tenant: fmt.Sprintf("t%d", i)})
		require.NoError(tb, err)
		return set
	}
	sets := make([]*config.Set, n)
	require.NoError(tb, load(0).Close()) // what all share is there from now on
	empty := heap.Used()
	for i := range sets {
		sets[i] = load(i)
	}
	loaded := heap.Used()
	for _, set := range sets {
		_, err := config.Apply(context.Background(), engine, nil, nil, set)
		require.NoError(tb, err)
	}
	applied := heap.Used()
	end(sets)
	routes := float64(3 * n)
	return float64(applied-empty) / routes, float64(loaded-empty) / routes
}

// BenchmarkTenantsInForce is what the routes of 10,000 tenants take.
func BenchmarkTenantsInForce(b *testing.B) {
	for b.Loop() {
		all, ofSet := inForce(b, 10_000)
		b.ReportMetric(all, "B/route")
		b.ReportMetric(ofSet, "B/route-in-Set")
	}
}

// BenchmarkOnboard loads the documents of 10,000 tenants and puts them in force, one by one. When that is linear, the
// last thousand take as long as the second.
func BenchmarkOnboard(b *testing.B) {
	const thousands = 10
	var took [thousands]time.Duration
	for b.Loop() {
		engine, end := runningEngine(b)
		sets := make([]*config.Set, 0, thousands*1000)
		for i := range took {
			began := time.Now()
			for range 1000 {
				tenant := len(sets)
				set, err := config.Load("a.yaml", ofTenant(tenant), config.Options{Tenant: fmt.Sprintf("t%d", tenant)})
				require.NoError(b, err)
				set, err = config.Apply(context.Background(), engine, nil, nil, set)
				require.NoError(b, err)
				sets = append(sets, set)
			}
			took[i] += time.Since(began)
		}
		end(sets)
	}
	b.ReportMetric(float64(took[thousands-1])/float64(took[1]), "x-second-thousand")
	b.ReportMetric(float64(took[thousands-1].Microseconds())/1000/float64(b.N), "µs/tenant")
}

// document is one with n channels, and a route for each.
func document(n int) []byte {
	var channels, routes strings.Builder
	for i := range n {
		fmt.Fprintf(&channels, "  - {type: webhook, name: c%[1]d, url: https://c%[1]d.example.com/, auth: {kind: bearer, token: not-a-real-token}, body: {kind: template, template: '{\"id\": \"{{id}}\"}'}}\n", i)
		fmt.Fprintf(&routes, "  - {name: c%[1]d, channel: c%[1]d, events: [request.*], retry: {count: 3}, alerts: {to: [c%[2]d]}}\n", i, (i+1)%n)
	}
	return []byte("channels:\n" + channels.String() + "routes:\n" + routes.String())
}

// BenchmarkLoad loads documents of which each is twice as long as the one before.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{125, 250, 500, 1000} {
		src := document(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set, err := config.Load("a.yaml", src, config.Options{})
				require.NoError(b, err)
				require.NoError(b, set.Close())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/channel")
		})
	}
}

// BenchmarkLoadEdited loads a document of which one channel was changed, after the Set before.
func BenchmarkLoadEdited(b *testing.B) {
	for _, n := range []int{3, 1000} {
		set, err := config.Load("a.yaml", document(n), config.Options{})
		require.NoError(b, err)
		d, err := set.Document.SetChannel("c1", []byte(`{"type": "webhook", "url": "https://c.example.com/x"}`), config.Options{})
		require.NoError(b, err)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				next, err := d.Load(config.Options{Previous: set})
				require.NoError(b, err)
				require.NoError(b, next.Close())
			}
		})
		require.NoError(b, set.Close())
	}
}

// BenchmarkSetChannel changes one channel of a document of few, and of one of many.
func BenchmarkSetChannel(b *testing.B) {
	for _, n := range []int{10, 1000} {
		d := new(config.Document)
		for i := range n {
			var err error
			d, err = d.SetChannel(fmt.Sprintf("c%d", i), []byte(`{"type": "webhook", "url": "https://c.example.com/"}`), config.Options{})
			require.NoError(b, err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := d.SetChannel("c5", []byte(`{"type": "webhook", "url": "https://c.example.com/x", "body": {"kind": "template", "template": "\"{{id}}\""}}`), config.Options{})
				require.NoError(b, err)
			}
		})
	}
}
