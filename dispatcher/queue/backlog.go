package queue

import "time"

// This file is where entries of a lane move between its ready list, its heap, its order keys and its workers. All of it
// runs with the lane locked.

// push adds a new job unless the lane is full.
func (l *lane) push(j *Job, r *enqueued) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(r) {
		return false
	}
	if plain(j) {
		l.inbox.push(letter{j.Event, j.Generation, j.Enqueued})
	} else {
		l.place(l.newEntry(j))
	}
	l.kick()
	l.signal()
	return true
}

// emptyInbox moves the inbox behind the ready entries, before anything else may get there or is done to what waits.
func (l *lane) emptyInbox() {
	for l.inbox.len() > 0 {
		letter := l.inbox.pop()
		e := l.newEntry(&Job{Event: letter.event, Generation: letter.generation, Enqueued: letter.enqueued})
		e.place = ready
		l.byAge.pushBack(e)
		l.ready.pushBack(e)
	}
}

// waiting counts the jobs that have not started, readyNow those of them that could.
func (l *lane) waiting() int  { return l.byAge.n + l.inbox.len() }
func (l *lane) readyNow() int { return l.ready.n + l.inbox.len() }

// room reports whether one more job may wait, after dropping the oldest if that is the lane's way.
func (l *lane) room(r *enqueued) bool {
	if l.waiting() < orDefault(l.bound.Jobs, DefaultBacklog) {
		return true
	}
	if !l.bound.DropOldest || r == nil {
		return false
	}
	l.emptyInbox()
	e := l.byAge.front
	for e != nil && l.bound.Keep != nil && l.bound.Keep(e.event) {
		e = e.links[byAge].next
	}
	if e == nil {
		return false
	}
	if l.bound.Dropped != nil {
		r.drops = append(r.drops, drop{l.memory.job(e, l.name), l.bound.Dropped})
	}
	l.bury(e, "dropped: the backlog was full")
	l.leave(e)
	l.finish(e)
	return true
}

// place puts a new entry where it waits: behind its order key, in the heap, or among the ready ones.
func (l *lane) place(e *entry) {
	l.emptyInbox()
	l.byAge.pushBack(e)
	if e.orderKey != "" {
		if busy := l.keys[e.orderKey]; busy != nil {
			e.place = follower
			busy.followers.pushBack(e)
			return
		}
		l.keys[e.orderKey] = &order{head: e}
	}
	l.queue(e)
}

// queue puts an entry that no other holds back into the heap or among the ready ones.
func (l *lane) queue(e *entry) {
	if e.due != unset && e.due > l.memory.now() {
		e.place = later
		l.later.push(e.due, e)
		l.setAlarm()
		return
	}
	l.emptyInbox()
	e.place = ready
	l.ready.pushBack(e)
}

// comeBack puts an entry that was running back, as the oldest of those that wait.
func (l *lane) comeBack(e *entry, out Outcome) {
	l.byAge.pushFront(e)
	if out.Delay <= 0 {
		e.due, e.place = unset, ready
		if out.Action == Postpone {
			l.ready.pushFront(e)
		} else { // behind the others, or a policy without pauses would keep a lane for one job
			l.emptyInbox()
			l.ready.pushBack(e)
		}
		return
	}
	e.due, e.place = l.memory.after(out.Delay), later
	l.later.push(e.due, e)
	l.setAlarm()
}

// leave takes a waiting entry out of the lists it waits in.
func (l *lane) leave(e *entry) {
	l.byAge.remove(e)
	switch e.place {
	case ready:
		l.ready.remove(e)
	case later:
		l.later.remove(e.heapIndex)
	case follower:
		l.keys[e.orderKey].followers.remove(e)
	case running:
	}
	if e.name != "" {
		delete(l.named, e.name)
		e.name = ""
	}
	e.place = running
}

// finish forgets an entry that waits nowhere any more, and lets the next one of its order key go.
func (l *lane) finish(e *entry) {
	if e.orderKey != "" {
		l.handOver(e)
	}
	*e = entry{}
	if len(l.free) < freeEntries {
		l.free = append(l.free, e)
	}
}

// handOver makes the next one of e's order key the first, if e was.
func (l *lane) handOver(e *entry) {
	busy := l.keys[e.orderKey]
	if busy.head != e {
		return
	}
	next := busy.followers.front
	if next == nil {
		delete(l.keys, e.orderKey)
		return
	}
	busy.followers.remove(next)
	busy.head = next
	l.queue(next)
}

// promotions is how many jobs become ready in one locking: when a million come due at once, nobody waits for all of them.
const promotions = 1024

// promote moves what is due from the heap to the ready ones; if that is a lot, the rest comes when these are gone.
func (l *lane) promote(now int64) {
	if l.anyDue(now) {
		l.emptyInbox()
	}
	for n := 0; n < promotions && l.anyDue(now); n++ {
		e := l.later[0].member
		l.later.remove(0)
		e.place = ready
		l.ready.pushBack(e)
	}
	l.overdue = l.anyDue(now)
	l.setAlarm()
}

func (l *lane) anyDue(now int64) bool { return len(l.later) > 0 && l.later[0].due <= now }

// setAlarm asks to be woken when the next entry is due or Admit is to be asked again. A closed lane sleeps.
func (l *lane) setAlarm() {
	at := int64(unset)
	if l.handler != nil {
		at = l.heldUntil
		if len(l.later) > 0 && (at == unset || l.later[0].due < at) {
			at = l.later[0].due
		}
	}
	l.memory.alarm.set(&l.bell, at)
}

func (l *lane) newEntry(j *Job) *entry {
	e := l.spare()
	l.memory.fill(e, j)
	return e
}

// spare returns an entry that is not in use, zeroed.
func (l *lane) spare() *entry {
	if len(l.free) == 0 {
		slab := make([]entry, 16)
		for i := range slab {
			l.free = append(l.free, &slab[i])
		}
	}
	last := len(l.free) - 1
	e := l.free[last]
	l.free[last] = nil
	l.free = l.free[:last]
	return e
}

// bury keeps e as evidence.
func (l *lane) bury(e *entry, reason string) {
	l.memory.dead.add(DeadLetter{Job: l.memory.job(e, l.name), Died: time.Now(), Reason: reason})
}

func (l *lane) schedule(key string, j *Job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.named[key]; old != nil {
		l.leave(old)
		l.finish(old)
	} else if !l.room(nil) {
		return false
	}
	e := l.newEntry(j)
	e.name = key
	l.named[key] = e
	l.place(e)
	l.setAlarm()
	l.kick()
	l.signal()
	return true
}

func (l *lane) cancel(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.named[key]
	if e == nil {
		return false
	}
	l.leave(e)
	l.finish(e)
	l.setAlarm()
	l.kick()
	l.signal()
	return true
}

// purge removes all that waits.
func (l *lane) purge() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emptyInbox()
	n := l.byAge.n
	// The youngest first: so no follower becomes ready before its turn to go.
	for e := l.byAge.back; e != nil; e = l.byAge.back {
		l.leave(e)
		l.finish(e)
	}
	l.setAlarm()
	l.signal()
	return n
}

// revive adds a job whatever the bound.
func (l *lane) revive(j *Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.place(l.newEntry(j))
	l.kick()
}

func (l *lane) inUse() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handler != nil || l.waiting() > 0 || l.running > 0
}

func (l *lane) count() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	for now := l.memory.now(); l.handler == nil && l.anyDue(now); {
		l.promote(now) // nobody rings a closed lane
	}
	return Counts{Due: l.waiting() - len(l.later), Later: len(l.later), Running: l.running}
}

func (e *entry) moved(index int32) { e.heapIndex = index }
