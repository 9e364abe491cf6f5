package drivertest

import (
	"database/sql"
	"testing"

	"github.com/tocsin-go/tocsin/dispatcher/outbox/outboxtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	on(t, conform)
}

func TestConformanceThroughPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exec", "cache_describe", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			conform(t, throughPooler(t, mode))
		})
	}
}

func conform(t *testing.T, p place) {
	outboxtest.Run(t, outboxtest.Suite{
		Dialect: p.dialect, Schema: p.schema,
		Open: func(tb testing.TB) *sql.DB { return p.open(tb) },
	})
}
