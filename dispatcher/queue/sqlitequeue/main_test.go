package sqlitequeue

import (
	"context"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/dispatcher/manage/managetest"
	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/queuetest"
)

func TestMain(m *testing.M) {
	if queuetest.Child(openChild) || managetest.Child(openDocuments) {
		return
	}
	if path := os.Getenv(openOnly); path != "" {
		openOnlyChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

func openAnyhow(path string) (*Queue, error) { return Open(context.Background(), path, Options{}) }

func openChild(path string) (queue.Queue, func() error, error) {
	q, err := Open(context.Background(), path, Options{})
	if err != nil {
		return nil, nil, err
	}
	return q, q.Close, nil
}

func openDocuments(path string) (manage.Documents, func() error, error) {
	q, err := openAnyhow(path)
	if err != nil {
		return nil, nil, err
	}
	return q.Documents(), q.Close, nil
}

// kills is how often the suite kills a process under load: SQLITEQUEUE_KILLS=100 for a long look.
func kills() int {
	n, err := strconv.Atoi(os.Getenv("SQLITEQUEUE_KILLS"))
	if err != nil {
		return 3
	}
	return n
}
