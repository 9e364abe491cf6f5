package durable

import (
	"slices"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/lanes"
)

// loadAll brings the next jobs of lanes into their windows. Once somebody waits for a small call, the rest comes after
// the next transaction.
func (w *writer) loadAll(all []*Lane, err error) {
	for i, l := range all {
		w.load(l, err)
		if w.putOff(all[i+1:]) {
			return
		}
	}
}

// putOff puts lanes off that are to be read, if somebody waits for a small call. Handlers whose outcomes are to be
// stored do not count: they want new jobs.
func (w *writer) putOff(all []*Lane) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || !slices.ContainsFunc(w.small, func(c *change) bool { return c.settle == nil }) {
		return w.closed
	}
	w.loads = append(slices.Clip(all), w.loads...)
	return true
}

// entry makes the entry of a job that comes into memory.
func (q *Queue) entry(l *Lane, j *Job) *lanes.Entry {
	j.Ref.Steps, j.Ref.Unloads = q.steps.Load(), l.unloads.Load()
	j.Enqueued, j.FirstTried = j.Enqueued.Round(0), j.FirstTried.Round(0) // as the store keeps them
	return q.scheduler.NewEntry(&j.Job, j.Ref)
}

// load brings the next jobs of a lane into its window, unless err says that the store cannot be used.
func (w *writer) load(l *Lane, err error) {
	if w.queue.shared != nil && !l.owned {
		l.inner.NotLoaded()
		return
	}
	room, urgent, ok := l.inner.BeginLoad()
	if !ok {
		return
	}
	l.serving = true
	var loaded Loaded
	if err == nil {
		loaded, err = w.queue.Store.Load(l, LoadQuery{
			Now: w.queue.Now(), After: l.cursor, Room: room, Urgent: urgent,
			Held: func(num int64) bool { return l.held.Get(num) != nil },
			Nums: l.held.Keys,
		})
	}
	was := l.unreadable
	l.unreadable = err != nil
	if err != nil {
		l.inner.NotLoaded()
		time.AfterFunc(lastPause, l.inner.Reload)
		if !was {
			w.queue.Log.Error("tocsin: the queue's jobs cannot be read; the route waits", "route", l.Name,
				"error", w.queue.Store.Error("read jobs", err))
		}
		return
	}
	if was {
		w.queue.Log.Info("tocsin: the queue's jobs can be read again", "route", l.Name)
	}
	for _, j := range loaded.Jobs {
		if l.held.Get(j.Ref.Num) == nil { // an urgent one may come twice
			e := w.queue.entry(l, j)
			l.held.Set(j.Ref.Num, e)
			l.inner.Put(e)
		}
	}
	l.cursor = max(l.cursor, loaded.Cursor)
	l.inner.Loaded(loaded.More, loaded.Urgent, loaded.Next)
}

// unload takes what waits in a lane that was closed out of memory, unless it was opened again.
func (w *writer) unload(l *Lane) {
	if l.inner.Unload() {
		l.held, l.serving, l.cursor, l.unreadable = lanes.Map[int64, *lanes.Entry]{}, false, 0, false
		w.unwant(l)
		w.checkIdle(l)
	}
}
