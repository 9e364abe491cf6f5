package queue

import (
	"context"
	"time"
)

// worker is a goroutine of a lane, and the job it has.
type worker struct {
	lane    *lane
	handler Handler
	ctx     context.Context
	job     Job
	taken   bool   // there is a job
	entry   *entry // its entry; nil for one that was a letter, of which most are done and never need one
	running bool   // the handler has it
	out     Outcome
}

// work runs jobs until there is none to run.
func (l *lane) work() {
	w := worker{lane: l, job: Job{Route: l.name}}
	defer w.desert()
	for first := true; w.serve(first); first = false {
	}
}

// serve runs jobs until there is none to run, or until a handler panics: then it is to be called again.
func (w *worker) serve(first bool) (again bool) {
	defer func() {
		if w.running && recover() != nil {
			w.out, w.running, again = crashed(), false, true
		}
	}()
	for w.turn(first) {
		first, w.running = false, true
		w.out = w.handler(w.ctx, w.job)
		w.running = false
	}
	return false
}

// crashed is the outcome of a handler that did not return.
func crashed() Outcome { return Outcome{Action: Retry, Delay: time.Second, Began: time.Now()} }

// turn settles the job the worker has and takes the next, in one locking. Without one the worker is to leave.
func (w *worker) turn(first bool) bool {
	l := w.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.taken {
		w.settle()
	}
	if first {
		l.starting = false
	}
	if !l.mayStart() {
		l.workers--
		l.signal()
		return false
	}
	w.take()
	w.handler, w.ctx = l.handler, l.ctx
	l.kick()
	return true
}

// take takes the next job of the lane, which has one.
func (w *worker) take() {
	l := w.lane
	w.taken = true
	l.running++
	if w.entry = l.ready.front; w.entry != nil {
		l.leave(w.entry)
		w.job = l.memory.job(w.entry, l.name)
		return
	}
	// All else of w.job is as in the job of any letter.
	letter := l.inbox.pop()
	w.job.Event, w.job.Generation, w.job.Enqueued = letter.event, letter.generation, letter.enqueued
}

// settle applies the outcome of the worker's job. Called with the lane locked.
func (w *worker) settle() {
	l := w.lane
	w.taken = false
	l.running--
	switch {
	case w.entry != nil:
		l.settle(w.entry, w.out)
		w.entry, w.job = nil, Job{Route: l.name}
	case w.out.Action == Retry, w.out.Action == Postpone, w.out.Action == Dead:
		l.settle(l.newEntry(&w.job), w.out)
	}
}

// desert settles the job of a handler that has ended the worker's goroutine, as testing's FailNow does.
func (w *worker) desert() {
	if !w.running {
		return
	}
	l := w.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	w.out = crashed()
	w.settle()
	l.workers--
	l.kick()
	l.signal()
}
