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

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// fakeShared is a Shared store whose news a test says.
type fakeShared struct {
	*fakeStore
	poll func(left []string) (News, error) // called by the writer
}

func (*fakeShared) Want(string, bool) {}

func (s *fakeShared) Begin(now int64) (Tx, error) {
	t, err := s.fakeStore.Begin(now)
	if err != nil {
		return nil, err
	}
	return &fakeSharedTx{t.(*fakeTx)}, nil //nolint:forcetypeassert // it is
}

// fakeSharedTx changes nothing for jobs that another process has settled.
type fakeSharedTx struct{ *fakeTx }

func (t *fakeSharedTx) Settle(all []*Settlement) ([]*Job, error) {
	var there []*Settlement
	for _, s := range all {
		s.Due = Now
		if s.Disposition.Delay > 0 {
			s.Due = t.now + int64(s.Disposition.Delay)
		}
		if _, j := t.find(s.Lane.Name, s.Job.Num); j != nil {
			there = append(there, s)
		}
	}
	return t.fakeTx.Settle(there)
}

func (s *fakeShared) Poll(_ int64, left []string) (News, error) { return s.poll(left) }

func (*fakeShared) Due(context.Context, string, int64) (bool, error) { return false, nil }

func (s *fakeShared) LastNum() (int64, error) { return s.lastNum, nil }

func sharedQueue(t *testing.T, poll func(left []string) (News, error)) (*fakeShared, *Queue) {
	t.Helper()
	s := &fakeShared{fakeStore: newFakeStore(), poll: poll}
	q := New(Config{Store: s, Log: slog.New(slog.DiscardHandler), Clock: lanes.System(), ErrClosed: errClosed, Chunk: 100, Work: 200})
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return s, q
}

// TestALaneThatIsNotHandedOverGoesOn here, however often the store has failed to hand it over.
func TestALaneThatIsNotHandedOverGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tried, polls := 0, 0
		_, q := sharedQueue(t, func(left []string) (News, error) {
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
		})
		var r ran
		serve(t, q, 1, r.handler(done))
		<-time.After(10 * time.Second)
		synctest.Wait()
		require.Greater(t, tried, 1)
		require.NoError(t, q.Enqueue(t.Context(), job("e1")))
		synctest.Wait()
		assert.Equal(t, map[string]int{"e1": 1}, r.ids())
	})
}

// TestAJobOfALostLaneDoesNotComeBack after others have done it, when its handler ends only once the lane is here again.
func TestAJobOfALostLaneDoesNotComeBack(t *testing.T) {
	for name, out := range map[string]queue.Disposition{
		"postpone": {Action: queue.Postpone}, "retry": {Action: queue.Retry, Began: time.Now()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				news := make(chan News, 1)
				s, q := sharedQueue(t, func([]string) (News, error) {
					select {
					case n := <-news:
						return n, nil
					default:
						return News{}, nil
					}
				})
				tell := func(n News) {
					news <- n
					<-time.After(time.Second)
					synctest.Wait()
				}
				var r ran
				release := make(chan struct{})
				serve(t, q, 2, r.handler(func(j queue.Job) queue.Disposition {
					if len(r.order) > 1 {
						return done(j)
					}
					<-release
					return out
				}))
				tell(News{Gained: []string{"a"}})
				require.NoError(t, q.Enqueue(t.Context(), job("e1")))
				synctest.Wait()
				tell(News{Lost: []string{"a"}})
				s.mu.Lock()
				delete(s.jobs, "a") // another process does it
				s.mu.Unlock()
				tell(News{Gained: []string{"a"}})
				close(release)
				<-time.After(time.Second)
				synctest.Wait()
				assert.Equal(t, []string{"e1"}, r.order)
			})
		})
	}
}
