package postgresqueue

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/postgresqueue/internal/pgtest"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

func TestMain(m *testing.M) {
	if queuetest.Child(openChild) || runMember() {
		return
	}
	if store := os.Getenv(openOnly); store != "" {
		_, closeQueue, err := openChild(store)
		if err == nil {
			err = closeQueue()
		}
		if err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(ended{m})
}

// ended are the tests, and the end of what was started for them all.
type ended struct{ *testing.M }

func (e ended) Run() int {
	defer pgtest.End()
	return e.M.Run()
}

// openOnly has the test binary open a store and close it again.
const openOnly = "POSTGRESQUEUE_OPEN"

// testLease is the lease of processes in tests.
const testLease = time.Second

// storeOf names a schema of a server for a child process.
func storeOf(url, schema string) string { return schema + " " + url }

func openChild(store string) (queue.Queue, func() error, error) {
	schema, url, _ := strings.Cut(store, " ")
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, err
	}
	config.MaxConns = 4
	q, err := Open(context.Background(), config, Options{Schema: schema, Lease: testLease})
	if err != nil {
		return nil, nil, err
	}
	return q, q.Close, nil
}

// runs is how often a test of failures is repeated: TOCSIN_POSTGRES_RUNS=100 for a long look.
func runs(few int) int {
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_POSTGRES_RUNS")); err == nil {
		return n
	}
	return few
}
