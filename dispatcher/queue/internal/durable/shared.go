package durable

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// Shared is a [Store] that several processes use. A lane belongs to one of them at a time, its owner, and only that one
// has jobs of it in memory.
type Shared interface {
	Store
	// Want says that a lane was opened here, or closed: an open one is to belong to one of those that opened it. It
	// must not wait; the next Poll sees to it.
	Want(lane string, open bool)
	// Poll says what has changed: which lanes belong to this process, and what others have stored in them. The writer
	// calls it between transactions. left are lanes of an earlier News.Leave of which nothing runs any more, again
	// until News.Lost has them.
	Poll(now int64, left []string) (News, error)
	// Due reports whether a lane has a job that is due before a time, or runs somewhere.
	Due(ctx context.Context, lane string, until int64) (bool, error)
	// LastNum is the number of the latest job.
	LastNum() (int64, error)
}

// SharedTx is the Tx of a Shared store.
type SharedTx interface {
	Tx
	// Recount has each of lanes know what the store has of it, by Lane.Recount.
	Recount(all []*Lane) error
	// Elsewhere reports whether a lane belongs to another process. If not, it does not until the transaction ends.
	Elsewhere(lane *Lane) (bool, error)
}

// News are what Shared.Poll has found.
type News struct {
	Lost   []string  // lanes that belong to this process no longer
	Gained []string  // lanes that do, and are to be read from the start
	Leave  []string  // lanes that are to be handed over: no job is to start in them
	Jobs   []NewJobs // jobs in lanes of this process that it has not handed over itself
	Idle   bool      // no lane is wanted or owned: there is nothing to poll for until that changes
}

// NewJobs are jobs of a lane that are not in memory, as far as the store knows.
type NewJobs struct {
	Lane string
	Num  int64 // the least number of those that may start at once; 0 = there are none
	Next int64 // when the first of the others is due; 0 = there are none
}

const (
	// pollEvery is how often changes of others are looked for.
	pollEvery = 50 * time.Millisecond
	// MostLeaving is how long a lane waits to be handed over before it goes on here.
	MostLeaving = 5 * time.Second
)

// newLane is the scheduler's hook. A lane of a shared store runs nothing until it belongs to this process.
func (q *Queue) newLane(inner *lanes.Lane) any {
	if q.shared != nil {
		inner.Suspend(false)
	}
	return newLane(inner)
}

// openLane is an open lane of a shared store.
type openLane struct {
	*lanes.Lane
	queue *Queue
}

// openShared is Open of a shared store.
func (q *Queue) openShared(name string, o queue.LaneOptions, h queue.Handler) (queue.Lane, error) {
	if _, err := q.scheduler.Open(name, o, h); err != nil {
		return nil, err
	}
	q.shared.Want(name, true)
	q.writer.askPoll(nil)
	return openLane{q.scheduler.Lane(name), q}, nil
}

// Drain implements queue.Lane. While the lane is another process's, it waits until that one has drained it.
func (l openLane) Drain(ctx context.Context, until time.Time) error {
	for {
		if err := l.Lane.Drain(ctx, until); err != nil || !l.Suspended() {
			return err
		}
		end := l.queue.Now()
		if !until.IsZero() {
			end = max(end, until.UnixNano())
		}
		due, err := l.queue.shared.Due(ctx, l.Name(), end)
		if err == nil && !due {
			return nil
		}
		if !sleep(ctx, 2*pollEvery) {
			return ctx.Err()
		}
	}
}

// Stop implements queue.Lane, and gives the lane up once none of its handlers runs. When that cannot be stored within
// StopGrace, it is tried again.
func (l openLane) Stop(ctx context.Context) error {
	err := l.Lane.Stop(ctx)
	polled := make(chan struct{})
	l.queue.writer.askPoll(polled)
	timer := time.NewTimer(queue.StopGrace)
	defer timer.Stop()
	select {
	case <-polled:
	case <-timer.C:
	}
	return err
}

// Interrupt keeps all lanes from starting jobs and cancels the contexts of those that run, because their lanes may
// belong to other processes soon. A lane goes on once it is gained.
func (q *Queue) Interrupt() {
	for _, l := range q.scheduler.All() {
		l.Suspend(true)
	}
}

// Poll has the writer call Shared.Poll soon.
func (q *Queue) Poll() { q.writer.askPoll(nil) }

// Running is how many jobs of a lane run in this process.
func (q *Queue) Running(name string) int {
	if l := q.find(name); l != nil {
		return l.count().running
	}
	return 0
}

// lastNum is the number of the latest job.
func (q *Queue) lastNum() (int64, error) {
	if q.shared != nil {
		return q.shared.LastNum()
	}
	return q.writer.lastNum, nil
}

// handsOver reports whether a job of a shared store goes to its lane in memory. A new one with an order key does not:
// another process may have stored an earlier one, which the next poll finds.
func (q *Queue) handsOver(l *Lane, j *Job, isNew bool) bool {
	if l.owned && isNew && j.OrderKey != "" {
		q.writer.askPoll(nil)
		return false
	}
	return l.owned
}

// askPoll has the writer poll soon, and polled closed then.
func (w *writer) askPoll(polled chan struct{}) {
	w.mu.Lock()
	if w.closed {
		if polled != nil {
			close(polled)
		}
	} else {
		w.pollAsked = true
		if polled != nil {
			w.polled = append(w.polled, polled)
		}
	}
	w.mu.Unlock()
	w.signal()
}

// unwant gives a lane up that was closed.
func (w *writer) unwant(l *Lane) {
	if w.queue.shared == nil {
		return
	}
	w.queue.shared.Want(l.Name, false)
	if l.inner.State().Open { // again, since
		w.queue.shared.Want(l.Name, true)
	}
	w.askPoll(nil)
}

// poll polls if that was asked for.
func (w *writer) poll() {
	w.mu.Lock()
	asked, polled := w.pollAsked, w.polled
	w.pollAsked, w.polled = false, nil
	w.mu.Unlock()
	if !asked {
		return
	}
	q := w.queue
	news, err := q.shared.Poll(q.Now(), w.left())
	every := pollEvery
	if err != nil {
		q.shared.Failed(err)
		every = lastPause
	}
	w.apply(news)
	for _, c := range polled {
		close(c)
	}
	switch {
	case news.Idle && err == nil:
	case w.nextPoll == nil:
		w.nextPoll = time.AfterFunc(every, func() { w.askPoll(nil) })
	default:
		w.nextPoll.Reset(every)
	}
}

// left lists the lanes that are to be handed over and of which nothing runs any more, until they are lost. One that
// takes too long goes on, also because the store fails.
func (w *writer) left() (names []string) {
	for l, until := range w.leaving {
		switch {
		case time.Now().After(until):
			l.inner.Resume()
			delete(w.leaving, l)
		case l.inner.Idle():
			names = append(names, l.Name)
		}
	}
	return names
}

func (w *writer) apply(news News) {
	for _, name := range news.Lost {
		if l := w.queue.find(name); l != nil {
			w.unloadShared(l)
			l.owned, l.serving = false, false
			w.checkIdle(l)
		}
	}
	for _, name := range news.Gained {
		l := w.queue.lane(name)
		w.unloadShared(l)
		l.owned = true
		w.trim(l)
		l.inner.Resume()
		l.inner.Reload()
	}
	for _, name := range news.Leave {
		l := w.queue.lane(name)
		l.inner.Suspend(false)
		w.leaving[l] = time.Now().Add(MostLeaving)
	}
	for _, n := range news.Jobs {
		l := w.queue.find(n.Lane)
		if l == nil || !l.owned {
			continue
		}
		if n.Next != 0 {
			l.inner.StoredUntil(n.Next)
		}
		if n.Num != 0 { // what is in memory already is not read again
			l.cursor = min(l.cursor, n.Num-1)
			l.inner.Reload()
		}
		w.trim(l)
	}
}

// unloadShared takes out of memory what waits. What runs stays, until it is settled.
func (w *writer) unloadShared(l *Lane) {
	l.unloads.Add(1)
	l.inner.Suspend(false)
	delete(w.leaving, l)
	for _, num := range l.held.Keys() {
		if l.inner.Take(l.held.Get(num), true) {
			l.held.Remove(num)
		}
	}
	l.cursor = 0
	l.inner.Loaded(false, false, 0)
}

// Recount sets what the store has of a lane, with what the transaction that reads it has changed.
func (l *Lane) Recount(jobs, dead int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.counts.waiting()
	l.counts.total, l.counts.dead = jobs-l.pending.total, dead-l.pending.dead
	if l.group != nil {
		l.group.Add(l.counts.waiting() - before)
	}
}

// isLimited reports whether the lane has a bound, so that its numbers matter.
func (l *Lane) isLimited() bool {
	b := l.getBound()
	return b.Jobs > 0 || b.GroupJobs > 0
}

// peersEvery is how often the other lanes of a group are counted again.
const peersEvery = time.Second

// peers are the lanes of each group of a shared store.
type peers struct {
	mu      sync.Mutex
	all     map[string]map[*Lane]bool
	counted map[string]time.Time
}

// move takes a lane from one group to another; "" = none.
func (p *peers) move(l *Lane, from, to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if from != "" {
		delete(p.all[from], l)
		if len(p.all[from]) == 0 {
			delete(p.all, from)
			delete(p.counted, from)
		}
	}
	if to == "" {
		return
	}
	if p.all == nil {
		p.all, p.counted = map[string]map[*Lane]bool{}, map[string]time.Time{}
	}
	if p.all[to] == nil {
		p.all[to] = map[*Lane]bool{}
	}
	p.all[to][l] = true
}

// add adds the other lanes of groups to lanes that are to be counted, once in a while.
func (p *peers) add(all map[*Lane]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range maps.Clone(all) {
		group := l.getBound().Group
		if group == "" || time.Since(p.counted[group]) < peersEvery {
			continue
		}
		p.counted[group] = time.Now()
		maps.Copy(all, p.all[group])
	}
}

// recount learns what a shared store has of the lanes of calls that have bounds.
func (t *transaction) recount(calls []*Append) error {
	shared, ok := t.Tx.(SharedTx)
	if !ok {
		return nil
	}
	all := map[*Lane]bool{}
	for _, a := range calls {
		for _, e := range a.Events {
			for i := range e.Jobs {
				if l := t.queue.lane(e.Jobs[i].Lane); l.isLimited() {
					all[l] = true
				}
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	t.queue.peers.add(all)
	return shared.Recount(slices.Collect(maps.Keys(all)))
}

// elsewhere reports whether a lane of a shared store is another process's.
func (t *transaction) elsewhere(l *Lane) (bool, error) {
	if shared, ok := t.Tx.(SharedTx); ok {
		return shared.Elsewhere(l)
	}
	return false, nil
}

// trim drops what others have stored in a lane beyond its bound: only the owner can.
func (w *writer) trim(l *Lane) {
	if b := l.getBound(); !b.DropOldest || b.Jobs <= 0 {
		return
	}
	a := new(Append)
	_, err := w.try([]*change{{apply: func(t *transaction) error {
		a.dropped = nil
		shared, _ := t.Tx.(SharedTx)
		if err := shared.Recount([]*Lane{l}); err != nil {
			return err
		}
		t.count(l, counts{})
		for range w.queue.Chunk {
			c := l.count()
			c.add(l.pending)
			if c.waiting() <= l.getBound().Jobs {
				return nil
			}
			if ok, err := t.drop(a, l); err != nil || !ok {
				return err
			}
		}
		return nil
	}}})
	if err != nil {
		w.queue.shared.Failed(err) // the next jobs have it tried again
		return
	}
	a.notify()
}

// setBound is the scheduler's hook.
func (q *Queue) setBound(l *Lane, b queue.Bound) {
	if q.shared != nil {
		q.peers.move(l, l.getBound().Group, b.Group)
	}
	l.setBound(&q.groups, b)
}

// isEmpty reports whether the store has nothing of a lane, as far as that matters: a shared store keeps what it has of
// a lane that nobody here remembers.
func (w *writer) isEmpty(l *Lane) bool { return w.queue.shared != nil && !l.isLimited() || l.isEmpty() }
