package drivertest

import (
	"database/sql"
	"testing"

	"github.com/tocsin-go/tocsin/dispatcher/outbox/outboxtest"
)

func TestConformance(t *testing.T) {
	on(t, func(t *testing.T, p place) {
		outboxtest.Run(t, outboxtest.Suite{
			Dialect: p.dialect, Schema: p.schema,
			Open: func(tb testing.TB) *sql.DB { return p.open(tb) },
		})
	})
}
