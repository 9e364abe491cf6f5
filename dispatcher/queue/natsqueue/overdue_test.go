package natsqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
)

// Q4: retries and scheduled jobs whose time comes while the servers' storage is full, so that the servers cannot
// start them, run once there is room again, each once, whether the process that stored them still lives or not.
func TestQ4JobsThatComeDueWhileTheStorageIsFull(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d nodes, new process %v", nodes, restart), func(t *testing.T) {
				t.Parallel()
				const jobs = 17 // of each kind
				s := newServers(t, nodes, func(o *server.Options) { o.JetStreamMaxStore = 8 << 20 })
				var log logged
				s.config.Logger = log.logger()
				q := s.queue(s.direct)
				l := newLedger()
				due := time.Now().Add(30 * time.Second) // the storage is full by then, on any machine
				for n := range jobs {
					later, timed := jobFor("lane", fmt.Sprintf("later-%d", n)), jobFor("lane", fmt.Sprintf("timed-%d", n))
					later.NotBefore, timed.NotBefore = due, due
					require.NoError(t, q.Enqueue(t.Context(), later))
					require.NoError(t, q.Schedule(t.Context(), timed.Event.ID(), timed))
					l.acked[later.Event.ID()], l.acked[timed.Event.ID()] = true, true
				}
				if nodes == 1 {
					gone := jobFor("lane", "cancelled")
					gone.NotBefore = due
					require.NoError(t, q.Schedule(t.Context(), "cancelled", gone))
				}
				room := fill(t, s.direct, nodes)
				require.Positive(t, time.Until(due), "the machine is too slow for this test")
				if restart {
					q.Close()
				} else {
					openLane(t, q, "lane", 4, l.handler(0))
				}
				<-time.After(time.Until(due))
				if nodes == 1 { // of three, those without room give up the lead, so nobody can be asked, and the next leader begins anew
					if restart {
						q = s.queue(s.direct)
					}
					require.Eventually(t, func() bool { return len(log.lines("level=WARN", "overdue=", "published_again=0")) > 0 },
						patience, 10*time.Millisecond)
					found, err := q.Cancel(t.Context(), "lane", "cancelled")
					require.NoError(t, err)
					assert.True(t, found, "what is overdue can be cancelled")
				}
				_, ran, _ := l.count()
				require.Less(t, ran, 2*jobs, "the storage is full, and jobs start nevertheless")
				room()
				if restart {
					openLane(t, s.queue(s.direct), "lane", 4, l.handler(0))
				}
				l.settled(t, 0)
				assert.Zero(t, l.runs["cancelled"])
				_, ran, _ = l.count()
				assert.Equal(t, 2*jobs, ran)
			})
		}
	}
}

// What a server is about to write, and what several processes find overdue at the same time, is started once.
func TestOverdueJobsAreStartedOnce(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	const jobs, processes = 200, 4
	l := newLedger()
	var queues []*natsqueue.Queue
	for range processes {
		queues = append(queues, s.queue(s.direct))
	}
	for n := range jobs {
		j := jobFor("lane", fmt.Sprint(n))
		j.NotBefore = time.Now().Add(500*time.Millisecond + time.Duration(n)*5*time.Millisecond)
		require.NoError(t, queues[0].Enqueue(t.Context(), j))
		l.acked[j.Event.ID()] = true
	}
	openLane(t, queues[0], "lane", 16, l.handler(0))
	for range 30 { // while the server writes them
		for _, q := range queues {
			natsqueue.RepublishAll(t.Context(), q)
		}
	}
	l.settled(t, 0)
}
