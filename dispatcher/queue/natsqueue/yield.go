package natsqueue

import "time"

// A lane has one owner, and more than one worker may have room for its jobs. One that does asks the owner for the lane,
// and the owner yields it if it has more lanes to do.

// request asks the owner of the lane to yield it.
func (l *lane) request() {
	l.mu.Lock()
	l.asked = time.Now()
	owner := l.owner
	l.mu.Unlock()
	l.q.ask(owner, ask{Op: opYield, Lane: l.token, Worker: l.q.worker.process, Busy: l.q.worker.busy.Load()})
}

// want is called when another worker, with so many lanes to do, would own the lane.
func (l *lane) want(worker string, busy int64) {
	l.q.worker.observe(worker, busy)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted != "" && time.Since(l.wantedAt) < wantedTime {
		return
	}
	l.wanted, l.wantedAt = worker, time.Now()
	if l.owned { // otherwise its claim is on its way, or the other one's
		time.AfterFunc(max(slice-time.Since(l.since), 0), l.yield)
	}
}

// yield lets the other worker have the lane if it has less to do, unless the lane has little to do itself, or its jobs
// take too long to be waited for.
func (l *lane) yield() {
	l.mu.Lock()
	defer l.mu.Unlock()
	worker := l.wanted
	if len(l.held) == 0 && l.ran < fewJobs && time.Since(l.wantedAt) < wantedTime {
		return // startNext asks again
	}
	l.wanted = ""
	little := len(l.held) == 0 && l.ran < fewJobs
	stays := worker == "" || !l.owned || !l.wants() || little || time.Now().Before(l.unwanted)
	if stays || !l.q.worker.yields(worker, l.busy) {
		return
	}
	l.yielding = true
	since := l.since
	time.AfterFunc(yieldTime, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.yielding && l.since.Equal(since) && l.running.Load() > 0 {
			l.yielding, l.unwanted = false, time.Now().Add(unwantedPause)
		}
		l.step()
	})
	l.step()
}

// observe takes what another worker says it has to do.
func (w *worker) observe(worker string, busy int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loads[worker] = busy
}

// yields reports whether another worker has less to do, and counts that it has one lane more then. counted says that
// the lane is one of those with jobs at the moment.
func (w *worker) yields(worker string, counted bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	lanes := w.busy.Load()
	if !counted {
		lanes++
	}
	if lanes <= w.loads[worker] {
		return false
	}
	w.loads[worker]++
	return true
}
