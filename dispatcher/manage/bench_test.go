package manage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// BenchmarkEditBesideTenants edits one channel while so many tenants have a document of one channel each. It reports
// what a start takes with them, and what one of them weighs.
func BenchmarkEditBesideTenants(b *testing.B) {
	for _, tenants := range []int{10, 10_000} {
		b.Run(fmt.Sprint(tenants), func(b *testing.B) {
			store := manage.NewMemory()
			for i := range tenants {
				content := fmt.Sprintf(`{"version": 1, "document": {"channels": [{"type": "webhook", "name": "a", "url": "https://hooks.example/%d"}], "routes": [{"name": "a", "channel": "a"}]}}`, i)
				_, err := store.Put(b.Context(), fmt.Sprintf("tenant-%05d", i), manage.Record{Content: []byte(content)}, 0)
				require.NoError(b, err)
			}
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			o := options(b, keepOpen{store})
			o.Logger = slog.New(slog.DiscardHandler)
			s, err := manage.New(b.Context(), o)
			require.NoError(b, err)
			took := time.Since(began)
			runtime.GC()
			runtime.ReadMemStats(&after)
			stopped := make(chan error, 1)
			go func() { stopped <- s.Run(context.WithoutCancel(b.Context())) }()
			by := manage.By{Tenant: "tenant-00005", Actor: "priya"}
			words := []string{"PUT", "POST"}
			i := 0
			for b.Loop() {
				i++
				_, err := s.Replace(b.Context(), by, "a", "", manage.ChannelInput{Channel: fmt.Appendf(nil, `{"type": "webhook", "method": "%s", "url": "https://hooks.example/x"}`, words[i%2])})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(took.Microseconds())/1000, "start-ms")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(tenants), "B/tenant")
			ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), patience)
			defer cancel()
			err = s.Shutdown(ctx)
			if _, left := errors.AsType[*dispatcher.ShutdownError](err); !left {
				require.NoError(b, err)
			}
			<-stopped
		})
	}
}

// BenchmarkFirstPage lists the first page of a tenant's channels, by how many there are.
func BenchmarkFirstPage(b *testing.B) {
	for _, channels := range []int{100, 1000} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			var all, routes []string
			for i := range channels {
				all = append(all, fmt.Sprintf(`{"type": "webhook", "name": "c%04d", "url": "https://hooks.example/%d"}`, i, i))
				routes = append(routes, fmt.Sprintf(`{"name": "c%04d", "channel": "c%04d"}`, i, i))
			}
			store := manage.NewMemory()
			content := fmt.Sprintf(`{"version": 1, "document": {"channels": [%s], "routes": [%s]}}`, strings.Join(all, ","), strings.Join(routes, ","))
			_, err := store.Put(b.Context(), "acme", manage.Record{Content: []byte(content)}, 0)
			require.NoError(b, err)
			a := serve(b, options(b, store))
			h, err := a.Handler(manage.HandlerOptions{Access: func(*http.Request) (manage.Access, error) {
				return manage.Access{Tenant: "acme", Role: manage.Viewer}, nil
			}})
			require.NoError(b, err)
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/notification-channels", nil))
				require.Equal(b, http.StatusOK, w.Code)
			}
		})
	}
}
