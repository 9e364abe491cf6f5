package natsqueue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/natstest"
)

// Q9: a scheduled job whose worker has gone after it began is begun again by another: only a cancelled one is not.
func TestQ9ScheduledJobOfALostWorkerRunsAgain(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	nc := natstest.Connect(t, strings.Split(s, " ")[2])
	lost, err := natsqueue.New(t.Context(), nc, configOf(s))
	require.NoError(t, err)
	t.Cleanup(lost.Close)
	started, release := make(chan struct{}), make(chan struct{})
	openLane(t, lost, "lane", 1, func(context.Context, queue.Job) queue.Disposition {
		close(started)
		<-release
		return queue.Disposition{}
	})
	t.Cleanup(func() { close(release) })
	q := openFor(t, s)
	require.NoError(t, q.Schedule(t.Context(), "key", jobFor("lane", "a")))
	<-started
	nc.Close()
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	l.await(t, 1)
}

// Q4: a job that comes long before its time, because the clocks differ, is put off, and not lost by that.
func TestQ4JobThatComesTooEarly(t *testing.T) {
	t.Parallel()
	s := store("1", "jobs", natstest.New(t, 1).URL())
	nc := natstest.Connect(t, strings.Split(s, " ")[2])
	q := openFor(t, s)
	at := time.Now().Add(2 * time.Second)
	m := nats.NewMsg("jobs.ready.lane.job")
	m.Header.Set("Tocsin-Job", fmt.Sprintf("1 - %d.%09d - 0 0", at.Unix(), at.Nanosecond()))
	m.Data = fact("a").JSON()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	ran := make(chan time.Time, 1)
	openLane(t, q, "lane", 1, func(context.Context, queue.Job) queue.Disposition {
		ran <- time.Now()
		return queue.Disposition{}
	})
	select {
	case now := <-ran:
		assert.False(t, now.Before(at), "%v early", at.Sub(now))
	case <-time.After(patience):
		require.Fail(t, "the job did not run")
	}
}

// Q11: a job whose time has come and that has not started is replaced like any other.
func TestQ11ScheduleReplacesWhatIsDue(t *testing.T) {
	t.Parallel()
	q := openFor(t, store("1", "jobs", natstest.New(t, 1).URL()))
	require.NoError(t, q.Schedule(t.Context(), "key", jobFor("lane", "previous")))
	require.NoError(t, q.Schedule(t.Context(), "key", jobFor("lane", "latter")))
	require.NoError(t, q.Enqueue(t.Context(), jobFor("lane", "last")))
	ran := make(chan string, 3)
	openLane(t, q, "lane", 1, func(_ context.Context, j queue.Job) queue.Disposition {
		ran <- j.Event.ID()
		return queue.Disposition{}
	})
	assert.Equal(t, "latter", <-ran)
	assert.Equal(t, "last", <-ran)
}

// Scheduled jobs start, and are cancelled, also when the only server has forgotten the stream of marks, which is in
// memory.
func TestScheduledJobsOutliveARestartOfTheServer(t *testing.T) {
	t.Parallel()
	c := natstest.New(t, 1)
	q := openFor(t, store("1", "jobs", c.URL()))
	later := jobFor("lane", "cancelled")
	later.NotBefore = time.Now().Add(time.Hour)
	require.NoError(t, q.Schedule(t.Context(), "cancelled", later))
	require.NoError(t, q.Schedule(t.Context(), "due", jobFor("lane", "due")))
	c.Stop(0)
	c.Start(0)
	l := newLedger()
	openLane(t, q, "lane", 1, l.handler(0))
	l.await(t, 1)
	c.Stop(0)
	c.Start(0)
	found, err := q.Cancel(t.Context(), "lane", "cancelled")
	require.NoError(t, err)
	assert.True(t, found)
}
