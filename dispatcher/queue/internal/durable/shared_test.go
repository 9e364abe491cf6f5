package durable

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// fakeShared is a Shared store whose news a test says.
type fakeShared struct {
	*fakeStore
	poll func(left []string) (News, error) // called by the writer
}

func (*fakeShared) Want(string, bool) {}

func (s *fakeShared) Poll(_ int64, left []string) (News, error) { return s.poll(left) }

func (*fakeShared) Due(context.Context, string, int64) (bool, error) { return false, nil }

func (s *fakeShared) LastNum() (int64, error) { return s.lastNum, nil }

// TestALaneThatIsNotHandedOverGoesOn here, however often the store has failed to hand it over.
func TestALaneThatIsNotHandedOverGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tried, polls := 0, 0
		s := &fakeShared{fakeStore: newFakeStore()}
		s.poll = func(left []string) (News, error) {
			if len(left) > 0 {
				tried++
				return News{}, errors.New("deadlock detected")
			}
			switch polls++; polls {
			case 1:
				return News{Gained: []string{"a"}}, nil
			case 2:
				return News{Leave: []string{"a"}}, nil
			}
			return News{}, nil
		}
		q := New(Config{Store: s, Log: slog.New(slog.DiscardHandler), Clock: lanes.System(), ErrClosed: errClosed, Chunk: 100, Work: 200})
		t.Cleanup(func() { assert.NoError(t, q.Close()) })
		var r ran
		serve(t, q, 1, r.handler(done))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Greater(t, tried, 1)
		require.NoError(t, q.Enqueue(t.Context(), job("e1")))
		synctest.Wait()
		assert.Equal(t, map[string]int{"e1": 1}, r.ids())
	})
}
