package memoryqueue

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/event"
)

// tick is the grain of a model's time, well above the least pause between two wake-ups.
const tick = 10 * time.Millisecond

// model is one lane as plain lists, beside the real one. After each random operation the real lane has come to rest
// (synctest.Wait), and must have done what the model allows and nothing else.
type model struct {
	t      *testing.T
	script []byte
	m      *Queue
	lane   queue.Lane // nil = closed
	starts chan *started

	limit    int
	bound    int
	drop     bool
	bounded  bool        // the bound was set since the lane was last opened
	group    int         // GroupJobs; 0 = none
	left     bool        // the lane is not in the group any more
	others   int         // jobs that wait in another lane of the group, which is never opened
	jobs     []*modelJob // all that wait or run, in the order enqueued
	byAge    []*modelJob // those that wait
	dead     []string
	dropped  []string
	notified []string
	made     int
}

type modelJob struct {
	id, key, name string
	due           time.Time
	fresh         bool // never ran
	attempt       int
	first         time.Time
	running       *started
}

// started is a handler of the real lane.
type started struct {
	job    queue.Job
	answer chan queue.Disposition
}

func (d *model) next(n int) int {
	if len(d.script) == 0 {
		return 0
	}
	b := d.script[0]
	d.script = d.script[1:]
	return int(b) % n
}

func runModel(t *testing.T, script []byte) {
	synctest.Test(t, func(t *testing.T) {
		d := &model{t: t, script: script, m: New(Options{}), starts: make(chan *started, 1000), bound: queue.DefaultBacklog}
		for len(d.script) > 0 {
			d.step()
			synctest.Wait()
			d.check()
		}
		if d.lane != nil {
			d.lane.Limit(0) // the answered ones start no others
		}
		for _, j := range d.running() {
			j.running.answer <- queue.Disposition{}
		}
		if d.lane != nil {
			require.NoError(t, d.lane.Stop(t.Context()))
		}
	})
}

func (d *model) step() {
	switch d.next(18) {
	case 0, 1, 2, 3:
		d.enqueue()
	case 4, 5, 6, 7:
		d.settle()
	case 8:
		d.open()
	case 9:
		d.limit = d.next(5)
		if d.lane != nil {
			d.lane.Limit(d.limit)
		}
	case 10, 11:
		<-time.After(time.Duration(1+d.next(8)) * tick)
	case 12:
		d.schedule()
	case 13:
		d.cancel()
	case 14:
		d.rebound()
	case 15:
		if d.next(4) == 0 {
			d.purge()
		} else {
			d.stop()
		}
	case 16:
		d.enqueueOther()
	case 17:
		n, err := d.m.Purge(d.t.Context(), "other")
		require.NoError(d.t, err)
		require.Equal(d.t, d.others, n)
		d.others = 0
	}
}

func (d *model) enqueueOther() {
	d.made++
	err := d.m.Enqueue(d.t.Context(), queue.Job{Event: revoked(fmt.Sprintf("e%d", d.made), ""), Lane: "other"})
	if d.group > 0 && d.inGroup() >= d.group {
		var full *queue.BacklogError
		require.ErrorAs(d.t, err, &full)
		require.Equal(d.t, queue.BacklogError{Lanes: []string{"other"}, Groups: []string{"group"}}, *full)
		return
	}
	require.NoError(d.t, err)
	d.others++
}

// inGroup is how many jobs wait in the group.
func (d *model) inGroup() int {
	if d.left {
		return d.others
	}
	return len(d.byAge) + d.others
}

func (d *model) groupFits() bool { return d.group == 0 || d.left || d.inGroup() < d.group }

func (d *model) newJob() (*modelJob, queue.Job) {
	d.made++
	j := &modelJob{id: fmt.Sprintf("e%d", d.made), key: []string{"", "", "x", "y"}[d.next(4)], fresh: true}
	if later := d.next(6); later > 3 {
		j.due = time.Now().Add(time.Duration(later) * tick)
	}
	return j, queue.Job{Event: revoked(j.id, ""), Lane: "lane", OrderKey: j.key, NotBefore: j.due, Enqueued: time.Now()}
}

func (d *model) enqueue() {
	j, job := d.newJob()
	err := d.m.Enqueue(d.t.Context(), job)
	if !d.room() {
		require.ErrorAs(d.t, err, new(*queue.BacklogError))
		return
	}
	require.NoError(d.t, err)
	require.NoError(d.t, d.m.Enqueue(d.t.Context(), job), "again: known")
	d.add(j)
}

func (d *model) add(j *modelJob) {
	d.jobs = append(d.jobs, j)
	d.byAge = append(d.byAge, j)
}

// kept says which events a lane never drops.
func kept(id string) bool { return id[len(id)-1] == '3' }

func (d *model) room() bool {
	if len(d.byAge) < d.bound && d.groupFits() {
		return true
	}
	if !d.drop {
		return false
	}
	for _, j := range d.byAge {
		if !kept(j.id) {
			d.dead = append(d.dead, j.id)
			d.dropped = append(d.dropped, j.id)
			d.forget(j)
			return true
		}
	}
	return false
}

func (d *model) forget(j *modelJob) {
	is := func(k *modelJob) bool { return k == j }
	d.jobs = slices.DeleteFunc(d.jobs, is)
	d.byAge = slices.DeleteFunc(d.byAge, is)
}

func (d *model) rebound() {
	d.bound, d.drop, d.bounded = 1+d.next(12), d.next(2) == 0, d.lane == nil
	d.group, d.left = d.next(3)*d.next(6), false
	d.m.Bound("other", queue.Bound{Group: "group", GroupJobs: d.group})
	d.m.Bound("lane", queue.Bound{
		Jobs: d.bound, DropOldest: d.drop, Group: "group", GroupJobs: d.group,
		Keep:    func(e event.Event) bool { return kept(e.ID()) },
		Dropped: func(j queue.Job) { d.notified = append(d.notified, j.Event.ID()) },
	})
}

func (d *model) named(key string) *modelJob {
	for _, j := range d.jobs {
		if j.name == key && j.running == nil {
			return j
		}
	}
	return nil
}

func (d *model) schedule() {
	key := []string{"k", "l"}[d.next(2)]
	j, job := d.newJob()
	j.name = key
	err := d.m.Schedule(d.t.Context(), key, job)
	if old := d.named(key); old != nil {
		d.forget(old)
	} else if len(d.byAge) >= d.bound || !d.groupFits() {
		require.ErrorAs(d.t, err, new(*queue.BacklogError))
		return
	}
	require.NoError(d.t, err)
	d.add(j)
}

func (d *model) cancel() {
	key := []string{"k", "l"}[d.next(2)]
	found, err := d.m.Cancel(d.t.Context(), "lane", key)
	require.NoError(d.t, err)
	j := d.named(key)
	require.Equal(d.t, j != nil, found)
	if found {
		d.forget(j)
	}
}

func (d *model) purge() {
	n, err := d.m.Purge(d.t.Context(), "lane")
	require.NoError(d.t, err)
	require.Equal(d.t, len(d.byAge), n)
	for _, j := range slices.Clone(d.byAge) {
		d.forget(j)
	}
}

func (d *model) open() {
	l, err := d.m.Open("lane", queue.LaneOptions{Limit: d.limit}, func(_ context.Context, j queue.Job) queue.Disposition {
		s := &started{job: j, answer: make(chan queue.Disposition)}
		d.starts <- s
		return <-s.answer
	})
	if d.lane != nil {
		require.ErrorIs(d.t, err, queue.ErrLaneOpen)
		return
	}
	require.NoError(d.t, err)
	d.lane, d.bounded = l, false
}

func (d *model) running() (running []*modelJob) {
	for _, j := range d.jobs {
		if j.running != nil {
			running = append(running, j)
		}
	}
	return running
}

func (d *model) stop() {
	if d.lane == nil || len(d.running()) > 0 {
		return
	}
	require.NoError(d.t, d.lane.Stop(d.t.Context()))
	d.lane = nil
}

func (d *model) settle() {
	running := d.running()
	if len(running) == 0 {
		return
	}
	j := running[d.next(len(running))]
	out := queue.Disposition{Action: queue.Action(d.next(4)), Began: time.Now(), Reason: "model"}
	if out.Action != queue.Done {
		out.Delay = time.Duration(d.next(4)-1) * tick
	}
	j.running.answer <- out
	j.running = nil
	switch out.Action {
	case queue.Done:
		d.forget(j)
	case queue.Dead:
		d.dead = append(d.dead, j.id)
		d.forget(j)
	case queue.Retry, queue.Postpone:
		replaced := func(k *modelJob) bool { return k != j && k.name == j.name && k.running == nil }
		if out.Action == queue.Postpone && j.name != "" && slices.ContainsFunc(d.jobs, replaced) {
			d.forget(j) // it has not started
			return
		}
		if out.Action == queue.Retry {
			j.name = ""
			j.attempt++
			if j.attempt == 1 {
				j.first = out.Began
			}
		}
		j.due = time.Time{}
		if out.Delay > 0 {
			j.due = time.Now().Add(out.Delay)
		}
		d.byAge = slices.Insert(d.byAge, 0, j)
	}
}

// blocked says that an earlier job of its key waits or runs.
func (d *model) blocked(j *modelJob) bool {
	for _, k := range d.jobs {
		if k == j {
			return false
		}
		if j.key != "" && k.key == j.key {
			return true
		}
	}
	return false
}

func (d *model) startable(j *modelJob) bool {
	return j.running == nil && !d.blocked(j) && !j.due.After(time.Now())
}

// check compares what the real lane did with what the model allows.
func (d *model) check() {
	t := d.t
	for len(d.starts) > 0 {
		d.start(<-d.starts)
	}
	d.checkOrder()
	if d.lane == nil && len(d.jobs) == 0 && !d.bounded { // the lane is forgotten
		d.bound, d.drop, d.left = queue.DefaultBacklog, false, true
	}
	if d.lane != nil && len(d.running()) < d.limit {
		for _, j := range d.jobs {
			require.False(t, d.startable(j), "job %s could start and did not", j.id)
		}
	}
	want := queue.Counts{Running: len(d.running()), Dead: len(d.dead)}
	for _, j := range d.byAge {
		if !d.blocked(j) && j.due.After(time.Now()) {
			want.Later++
		} else {
			want.Due++
		}
	}
	got, err := d.m.Count(t.Context(), "lane")
	require.NoError(t, err)
	require.Equal(t, want, got)
	var dead []string
	letters, err := d.m.DeadLetters(t.Context(), queue.Selection{})
	require.NoError(t, err)
	for _, l := range letters {
		dead = append(dead, l.Event.ID())
	}
	require.Equal(t, d.dead, dead)
	require.Equal(t, d.dropped, d.notified)
	d.checkDrain(want)
}

func (d *model) start(s *started) {
	t := d.t
	at := slices.IndexFunc(d.jobs, func(j *modelJob) bool { return j.id == s.job.Event.ID() })
	require.GreaterOrEqual(t, at, 0, "job %s ran, which is gone", s.job.Event.ID())
	j := d.jobs[at]
	require.NotNil(t, d.lane, "a closed lane started job %s", j.id)
	require.True(t, d.startable(j), "job %s started although it runs, is early or its key is busy", j.id)
	require.Less(t, len(d.running()), d.limit, "a job started beyond the limit")
	require.Equal(t, j.attempt, s.job.Attempt)
	require.True(t, j.first.Equal(s.job.FirstTried))
	j.running = s
	d.byAge = slices.DeleteFunc(d.byAge, func(k *modelJob) bool { return k == j })
}

// checkOrder checks that of plain jobs, which nothing ever held back, the first enqueued is the first to start.
func (d *model) checkOrder() {
	waits := ""
	for _, j := range d.jobs {
		switch plain := j.fresh && j.key == "" && j.due.IsZero(); {
		case plain && j.running == nil && waits == "":
			waits = j.id
		case plain && j.running != nil && waits != "":
			require.Fail(d.t, "order", "job %s started before %s", j.id, waits)
		}
		if j.running != nil {
			j.fresh = false
		}
	}
}

func (d *model) checkDrain(c queue.Counts) {
	if d.lane == nil {
		return
	}
	due := slices.ContainsFunc(d.jobs, d.startable)
	ctx, cancel := context.WithCancel(d.t.Context())
	drained := make(chan error, 1)
	go func() { drained <- d.lane.Drain(ctx, time.Time{}) }()
	synctest.Wait()
	want := c.Running == 0 && (d.limit <= 0 || !due)
	require.Equal(d.t, want, len(drained) == 1, "Drain returned")
	cancel()
	if err := <-drained; want {
		require.NoError(d.t, err)
	} else {
		require.ErrorIs(d.t, err, context.Canceled)
	}
}
