package natsqueue_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

// Q12: the notification of a job can arrive after another worker has run it, left the lane, and this one has claimed
// and read it.
func TestQ12LateNotificationIsNoNewJob(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	previous, next, l := s.queue(s.direct), s.worker(), newLedger()
	notes, err := s.direct.SubscribeSync("q.stored.lane")
	require.NoError(t, err)
	lane := openLane(t, previous, "lane", 1, l.handler(0))
	require.NoError(t, previous.Enqueue(t.Context(), jobFor("lane", "a")))
	l.await(t, 1)
	l.settled(t, 0)
	stopLane(t, lane)
	note, err := notes.NextMsgWithContext(t.Context())
	require.NoError(t, err)

	openLane(t, next, "lane", 1, l.handler(0))
	require.Eventually(t, func() bool {
		free := &nats.Msg{Subject: note.Subject, Header: nats.Header{"Tocsin-Free": {"previous"}}}
		return s.direct.PublishMsg(free) == nil && owners(t, s.js, "q", "lane") == 1
	}, patience, 10*time.Millisecond, "the next worker claims the lane")
	require.NoError(t, s.direct.PublishMsg(&nats.Msg{Subject: note.Subject, Header: note.Header, Data: note.Data}))
	require.NoError(t, s.direct.Flush())
	require.NoError(t, next.Enqueue(t.Context(), jobFor("lane", "b")))
	l.await(t, 2)
	l.settled(t, 0)
}

// Q12: a heartbeat that is stored only when others may have this worker's lanes already does not renew them.
func TestQ12LateHeartbeatRenewsNothing(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	q, l := s.queue(s.direct), newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	l.await(t, 1)
	before := registration(t, s.js)
	require.Equal(t, 1, owners(t, s.js, "q", "lane"))
	s.forgetOwners() // as when the registration has ended, and another worker has evicted this one
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "b")))
	require.Eventually(t, func() bool {
		now := registration(t, s.js)
		return now != "" && now != before
	}, patience, 10*time.Millisecond, "the worker goes on under the name it has lost")
	require.Eventually(t, func() bool { return owners(t, s.js, "q", "lane") == 1 }, patience, 10*time.Millisecond)
	l.await(t, 2)
	l.settled(t, 0)
}

// registration is the subject of the one worker's registration; "" = there is none.
func registration(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	stream, err := js.Stream(t.Context(), "q-workers")
	require.NoError(t, err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("q.worker.*"))
	require.NoError(t, err)
	for subject := range info.State.Subjects {
		return subject
	}
	return ""
}

// Q12: a replica of the stream that is behind still shows what the previous owner of a lane has removed, whether that
// left the lane or was killed. The replica is played by a client.
func TestQ12ReplicaThatIsBehindShowsNoNewJob(t *testing.T) {
	t.Parallel()
	const lanes = 20
	s := newServers(t, 3)
	previous, next, l := s.queue(s.direct), s.worker(), newLedger()
	notes, err := s.direct.SubscribeSync("q.stored.*")
	require.NoError(t, err)
	opened := make([]queue.Lane, lanes)
	removed := map[string]*nats.Msg{} // by the subject of the job
	for n := range lanes {
		lane := fmt.Sprint("lane-", n)
		opened[n], err = previous.Open(lane, queue.LaneOptions{Limit: 1}, l.handler(0))
		require.NoError(t, err)
		require.NoError(t, previous.Enqueue(t.Context(), jobFor(lane, lane)))
		note, err := notes.NextMsgWithContext(t.Context())
		require.NoError(t, err)
		removed[note.Header.Get(jetstream.SubjectHeader)] = note
	}
	l.await(t, lanes)
	require.Eventually(t, func() bool {
		return natstest.State(t, s.direct, "q-jobs").Msgs == 0
	}, patience, 10*time.Millisecond)
	for _, lane := range opened[:lanes/2] {
		stopLane(t, lane)
	}
	previous.Close() // the other half keep what is written about them, as when a process is killed
	for _, lane := range opened[lanes/2:] {
		stopLane(t, lane)
	}

	var asked atomic.Int64
	_, err = s.direct.QueueSubscribe("$JS.API.DIRECT.GET.q-jobs", "_zz_", func(m *nats.Msg) {
		var request struct {
			Next string `json:"next_by_subj"`
		}
		_ = json.Unmarshal(m.Data, &request)
		old := removed[request.Next]
		if old == nil {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}}})
			return
		}
		asked.Add(1)
		first := &nats.Msg{Header: maps.Clone(old.Header), Data: old.Data}
		first.Header["Nats-Last-Sequence"], first.Header["Nats-Num-Pending"] = []string{"0"}, []string{"0"}
		_ = m.RespondMsg(first)
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{
			"Status": {"204"}, "Nats-Last-Sequence": old.Header[jetstream.SequenceHeader], "Nats-Num-Pending": {"0"},
		}})
	})
	require.NoError(t, err)
	require.NoError(t, s.direct.Flush())
	for n := range lanes {
		lane := fmt.Sprint("lane-", n)
		require.NoError(t, next.Enqueue(t.Context(), jobFor(lane, lane+"-new")))
		opened[n] = openLane(t, next, lane, 1, l.handler(0))
	}
	l.await(t, 2*lanes)
	for _, lane := range opened {
		require.NoError(t, lane.Drain(t.Context(), time.Time{}))
	}
	l.settled(t, 0)
	assert.Positive(t, asked.Load(), "the replica was not asked")
}

// Q10: a server may start a job although its schedule has just been purged. It was counted, and does not run.
func TestQ10JobStartedWhileItsScheduleIsPurged(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			t.Parallel()
			s := newServers(t, nodes)
			q, l := s.queue(s.direct), newLedger()
			openLane(t, q, "lane", 1, l.handler(0))
			purged := 0
			for n := range 5 {
				j := jobFor("lane", fmt.Sprint("later-", n))
				j.NotBefore = time.Now().Add(300 * time.Millisecond)
				require.NoError(t, q.Enqueue(t.Context(), j))
				stream, err := s.js.Stream(t.Context(), "q-jobs")
				require.NoError(t, err)
				schedule, err := stream.GetLastMsgForSubject(t.Context(), "q.later.>")
				require.NoError(t, err)
				gone, err := q.Purge(t.Context(), "lane")
				require.NoError(t, err)
				purged += gone
				if gone == 0 {
					continue // the machine is slow: it has run
				}
				_, err = s.js.PublishMsg(t.Context(), &nats.Msg{Subject: "q.ready.lane.job", Data: schedule.Data, Header: nats.Header{
					"Tocsin-Job": schedule.Header["Tocsin-Job"], "Nats-Scheduler": {schedule.Subject}, "Nats-Schedule-Next": {"purge"},
				}})
				require.NoError(t, err)
			}
			require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "last")))
			require.Eventually(t, func() bool {
				c, err := q.Count(t.Context(), "lane")
				return err == nil && c == queue.Counts{}
			}, patience, 10*time.Millisecond)
			l.mu.Lock()
			defer l.mu.Unlock()
			assert.Len(t, l.runs, 6-purged)
			assert.Equal(t, 1, l.runs["last"])
		})
	}
}

// Q10: the notification of a job can arrive after the job has been purged.
func TestQ10LateNotificationOfWhatWasPurged(t *testing.T) {
	t.Parallel()
	s := newServers(t, 1)
	q, l := s.queue(s.direct), newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "a")))
	l.await(t, 1)
	stream, err := s.js.Stream(t.Context(), "q-jobs")
	require.NoError(t, err)
	silent := stream.CachedInfo().Config
	silent.RePublish = nil
	_, err = s.js.UpdateStream(t.Context(), silent)
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "b")))
	b, err := stream.GetLastMsgForSubject(t.Context(), "q.ready.lane.job")
	require.NoError(t, err)
	n, err := q.Purge(t.Context(), "lane")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	note := &nats.Msg{Subject: "q.stored.lane", Header: maps.Clone(b.Header), Data: b.Data}
	note.Header[jetstream.SubjectHeader] = []string{b.Subject}
	note.Header[jetstream.SequenceHeader] = []string{strconv.FormatUint(b.Sequence, 10)}
	note.Header[jetstream.LastSequenceHeader] = []string{"0"}
	require.NoError(t, s.direct.PublishMsg(note))
	require.NoError(t, s.direct.Flush())
	silent.RePublish = stream.CachedInfo().Config.RePublish
	_, err = s.js.UpdateStream(t.Context(), silent)
	require.NoError(t, err)
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "c")))
	require.Eventually(t, func() bool {
		c, err := q.Count(t.Context(), "lane")
		return err == nil && c == queue.Counts{}
	}, patience, 10*time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Equal(t, map[string]int{"a": 1, "c": 1}, l.runs)
}
