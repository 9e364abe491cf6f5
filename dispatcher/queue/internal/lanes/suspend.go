package lanes

import "context"

// Suspend keeps the lane from starting jobs until Resume, whatever its limit. With interrupt it cancels the contexts of
// the handlers that run.
func (l *Lane) Suspend(interrupt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suspended = true
	if interrupt && l.cancel != nil {
		l.cancel()
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
	l.notify()
}

// Resume lets the lane start jobs again.
func (l *Lane) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suspended = false
	l.startWorker()
	l.notify()
}

// Suspended reports whether the lane is open, and suspended although its limit lets it run jobs.
func (l *Lane) Suspended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.suspended && l.handler != nil && l.limit > 0
}

// Idle reports whether none of the lane's handlers runs.
func (l *Lane) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.workers == 0
}
