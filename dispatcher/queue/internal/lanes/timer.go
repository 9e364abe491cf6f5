package lanes

import (
	"time"
)

const (
	// leastPause is the least time between two wake-ups of a lane: due times that lie closer together are met together, so
	// a dense schedule costs no more than a tick.
	leastPause = time.Millisecond
	// mostPromoted is how many jobs become ready in one locking: when a million come due at once, nobody waits for all of
	// them.
	mostPromoted = 1024
)

// promote moves what is due from the heap to those that may start; if that is a lot, the rest comes when these have
// started.
func (l *Lane) promote() {
	now := l.s.clock.now()
	l.followClock()
	for n := 0; n < mostPromoted && l.anyDue(now); n++ {
		e := l.later[0].entry
		l.later.remove(e)
		l.makeReady(e)
	}
	l.setTimer()
}

// followClock notices that the wall clock was set.
func (l *Lane) followClock() {
	if stepped := l.s.clock.stepped(); stepped != l.stepped {
		l.stepped = stepped
		l.later.update(l.s.clock.due)
	}
}

// setTimer asks to be woken when the next entry is due or Admit is to be asked again. A closed lane sleeps.
func (l *Lane) setTimer() {
	at := int64(unset)
	if l.handler != nil {
		at = l.heldUntil
		if len(l.later) > 0 && (at == unset || l.later[0].due < at) {
			at = l.later[0].due
		}
		if l.stored.next != unset {
			if next := l.s.clock.at(l.stored.next); at == unset || next < at {
				at = next
			}
		}
	}
	if at == l.wakeAt {
		return
	}
	l.wakeAt = at
	if at == unset {
		l.timer.Stop()
		return
	}
	if l.woke != unset {
		at = max(at, l.woke+int64(leastPause))
	}
	wait := time.Duration(max(at-l.s.clock.now(), 0))
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.wake)
		return
	}
	l.timer.Reset(wait)
}

// wake is the timer's call, and that of a clock that was set.
func (l *Lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.s.clock.now()
	l.wakeAt, l.woke = unset, now
	if l.heldUntil <= now {
		l.heldUntil = unset
	}
	if l.stored.next != unset && l.s.clock.at(l.stored.next) <= now {
		l.stored.next = unset
		l.reload()
	}
	l.promote()
	l.startWorker()
	l.notify()
}
