package queue

import (
	"sync"
	"time"
)

// alarmPause is the least time between two rings: due times that lie closer together ring together, so a dense schedule
// costs no more than a tick.
const alarmPause = time.Millisecond

// alarm wakes lanes when their next job is due: one runtime timer for all of them.
type alarm struct {
	base  time.Time
	mu    sync.Mutex // may be taken while a lane is locked, never the other way round
	timer *time.Timer
	at    int64 // when the timer will ring; unset = it will not
	rang  int64 // when it last did
	lanes heap[*bell]
}

// bell is a lane's place in the alarm.
type bell struct {
	lane  *lane
	asked int64 // guarded by the lane: what it last asked for
	index int32 // guarded by the alarm; -1 = not set
}

func (b *bell) moved(index int32) { b.index = index }

// set makes the alarm ring b's lane at the given time and not at the one asked for before; unset = not at all. Called
// with the lane locked.
func (a *alarm) set(b *bell, at int64) {
	if b.asked == at {
		return
	}
	b.asked = at
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.index >= 0 {
		a.lanes.remove(b.index)
		b.index = -1
	}
	if at != unset {
		a.lanes.push(at, b)
		a.arm()
	}
}

// arm makes sure that the timer rings for the earliest lane. An alarm that is too early is left alone: it rings for
// nobody and arms again.
func (a *alarm) arm() {
	if len(a.lanes) == 0 {
		return
	}
	at := max(a.lanes[0].due, a.rang+int64(alarmPause))
	if a.at != unset && a.at <= at {
		return
	}
	a.at = at
	wait := max(time.Duration(at)-time.Since(a.base), 0)
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, a.ring)
		return
	}
	a.timer.Reset(wait)
}

func (a *alarm) ring() {
	now := int64(time.Since(a.base))
	var due []*lane
	a.mu.Lock()
	a.at, a.rang = unset, now
	for len(a.lanes) > 0 && a.lanes[0].due <= now {
		b := a.lanes[0].member
		a.lanes.remove(0)
		b.index = -1
		due = append(due, b.lane)
	}
	a.arm()
	a.mu.Unlock()
	for _, l := range due {
		l.wakeUp(now)
	}
}
