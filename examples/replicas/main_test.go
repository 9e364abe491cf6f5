package main

import (
	"bytes"
	"cmp"
	"context"
	"log"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if isReplica() {
		if err := runReplica(context.Background()); err != nil {
			log.Fatal(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// The program's claims are checked at the receiver, not in what it prints.
func TestEverythingArrives(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	set := cmp.Or(os.Getenv("DATABASE_URL"), os.Getenv("TOCSIN_POSTGRESQL"))
	database := cmp.Or(set, usual)
	conn, err := pgx.Connect(ctx, database)
	if err != nil && set == "" {
		t.Skip("needs PostgreSQL: set TOCSIN_POSTGRESQL to the URL of one")
	}
	require.NoError(t, err)
	require.NoError(t, conn.Close(ctx))
	var out bytes.Buffer
	r, err := run(ctx, &out, database)
	require.NoError(t, err, out.String())
	assert.Equal(t, events*len(routeNames()), r.arrived)
	assert.LessOrEqual(t, r.twice, 4*len(routeNames()), "what was in flight, by the routes' Concurrency")
}
