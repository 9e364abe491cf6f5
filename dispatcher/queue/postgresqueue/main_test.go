package postgresqueue

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
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
	flag.Parse()
	if os.Getenv(roundsVariable) == "" {
		if err := flag.Set("test.parallel", strconv.Itoa(max(runtime.GOMAXPROCS(0), atATime))); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(ended{m})
}

// atATime is how many tests run side by side at least: they wait for the server and for times most of the time.
const atATime = 8

// ended are the tests, and the end of what was started for them all.
type ended struct{ *testing.M }

func (e ended) Run() int {
	defer stopServers()
	return e.M.Run()
}

// openOnly has the test binary open a store and close it again.
const openOnly = "POSTGRESQUEUE_OPEN"

// Leases of tests: testLease where a test waits for its end, and longer where a busy machine is not to let it end.
const (
	testLease     = time.Second
	longTestLease = 3 * time.Second
)

// storeOf names a schema of a server for a child process.
func storeOf(url, schema string) string { return schema + " " + url }

func openChild(store string) (queue.Queue, func() error, error) {
	schema, url, _ := strings.Cut(store, " ")
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, err
	}
	config.MaxConns = 4
	q, err := Open(context.Background(), config, Options{Schema: schema, Lease: longTestLease})
	if err != nil {
		return nil, nil, err
	}
	return q, q.Close, nil
}

// roundsVariable says how often tests of failures repeat theirs, 100 for a long look. That loads a machine: run one
// such test at a time.
const roundsVariable = "POSTGRESQUEUE_TEST_ROUNDS"

func runs(few int) int {
	if n, err := strconv.Atoi(os.Getenv(roundsVariable)); err == nil {
		return n
	}
	return few
}
