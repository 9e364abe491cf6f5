package natsqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// Q6: an outcome that the servers refuse, for good or for lack of room, does not keep its worker: it is logged, and
// the server delivers the job again.
func TestQ6OutcomeRefusedForGoodFreesTheWorker(t *testing.T) {
	t.Parallel()
	for _, out := range []queue.Disposition{
		{Action: queue.Retry, Delay: time.Millisecond}, {Action: queue.Postpone, Delay: time.Hour}, {Action: queue.Dead, Reason: "no"},
	} {
		for name, no := range map[string]func(*testing.T, *servers) (yes func()){
			"size": func(t *testing.T, s *servers) func() {
				refuseIn(t, s.direct, s.config.Name, 1)
				return func() { refuseIn(t, s.direct, s.config.Name, -1) }
			},
			"storage": func(t *testing.T, s *servers) func() { return fill(t, s.direct, 1) },
		} {
			t.Run(name+" "+[...]string{"done", "retry", "postpone", "dead"}[out.Action], func(t *testing.T) {
				t.Parallel()
				s := newServers(t, 1, func(o *server.Options) { o.JetStreamMaxStore = 8 << 20 })
				var log logged
				s.config.Logger, s.config.Timeout = log.logger(), time.Second
				q := s.queue(s.direct)
				ran, release := make(chan string, 10), make(chan struct{})
				openLane(t, q, "lane", 2, func(_ context.Context, j queue.Job) queue.Disposition {
					ran <- j.Event.ID()
					<-release
					if j.Event.ID() == "other" {
						return queue.Disposition{}
					}
					return out
				})
				ids := []string{"refused-1", "refused-2"} // as many as may run
				for _, id := range append(ids, "other") {
					require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", id)))
				}
				<-ran
				<-ran
				yes := no(t, s)
				close(release)
				require.Eventually(t, func() bool { return len(log.lines("level=ERROR", "event_id=refused-")) == 2 }, patience, 5*time.Millisecond)
				yes()
				// Both come back when their pause is over, and the third job gets its turn then at the latest.
				seen := map[string]bool{}
				timer := time.NewTimer(patience)
				defer timer.Stop()
				for len(seen) < 3 {
					select {
					case id := <-ran:
						seen[id] = true
					case <-timer.C:
						require.Fail(t, "jobs do not come back", "%v", seen)
					}
				}
			})
		}
	}
}

// What JetStream does not take is said with a type and a remedy, at once or within the timeout.
func TestErrorsOfAFullStorageAndOfRefusals(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1, func(o *server.Options) { o.JetStreamMaxStore = 8 << 20 })
	s.config.Timeout = time.Second
	q := s.queue(s.direct)
	room := fill(t, s.direct, 1)
	err := q.Enqueue(t.Context(), jobFor("lane", "a"))
	var unsure *natsqueue.StoreError
	require.ErrorAs(t, err, &unsure)
	assert.True(t, jsapi.IsFull(unsure.Err))
	assert.Contains(t, err.Error(), "make room")
	room()
	refuseIn(t, s.direct, s.config.Name, 1)
	err = q.Enqueue(t.Context(), jobFor("lane", "a"))
	var refused *natsqueue.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Error(t, errors.Unwrap(refused))
	refuseIn(t, s.direct, s.config.Name, -1)
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")), "what was refused is not taken for known")
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	l.await(t, 1)
}
