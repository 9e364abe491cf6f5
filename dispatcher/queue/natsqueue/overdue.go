package natsqueue

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// A server whose time has come to write a scheduled message marks the schedule as being written. When its own
// stream refuses the message, because the storage is full, it keeps that mark and does not try again until it is
// restarted or another server leads the stream. So each process looks once a slot for schedules of slots that are
// over, and publishes what it finds again. A new schedule in the place of the old one begins without a mark; it is
// taken only if the old one is still there, so what several processes do about it, and the server itself, is done
// once.

const (
	// overdue is how long after a slot's end its schedules should have been written: a round of the servers, and
	// time for many.
	overdue = 5 * time.Second
	// longestGap is how many slots a process that was cut off looks at one by one. After more it asks for a list of all
	// schedules, as it does when it starts.
	longestGap = 360
)

// watch is what a process knows of the slots.
type watch struct {
	next   int64     // the first slot that is not over
	logged time.Time // when overdue schedules were logged last

	mu   sync.Mutex
	left map[int64]bool // slots before next that may hold schedules; nil = not known
}

// slots lists those that may hold overdue schedules.
func (w *watch) slots() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.left))
}

// advance takes the slots before one as over; among, if it is not nil, replaces what is known.
func (w *watch) advance(over int64, among map[int64]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if among != nil {
		w.left = among
	} else {
		for ; w.next < over; w.next++ {
			w.left[w.next] = true
		}
	}
	w.next = over
}

func (w *watch) remove(slot int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.left, slot)
}

// known reports whether the slots up to one can be looked at one by one.
func (w *watch) known(over int64) bool { return w.next > 0 && over-w.next <= longestGap }

// watchSchedules looks after overdue schedules and the clock until the queue is closed.
func (q *Queue) watchSchedules() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-q.ctx.Done():
			return
		}
		if q.readClock(q.ctx) == nil {
			q.maxPayload.Store(q.nc.MaxPayload())
			q.removeCancelled(q.ctx)
			q.checkSlots(q.ctx)
		}
		timer.Reset(slotLength)
	}
}

// checkSlots looks at the slots that are over. What cannot be asked now is asked the next time.
func (q *Queue) checkSlots(ctx context.Context) {
	w := &q.watch
	over := slotOf(q.clock.now().Add(-overdue)) // the slots before this one are
	var among map[int64]bool
	if !w.known(over) {
		var err error
		if among, err = q.slots(ctx, wildcard, over); err != nil {
			return
		}
	}
	w.advance(over, among)
	found, again := 0, 0
	var problem error
	for _, slot := range w.slots() {
		here, stored, err := q.republish(ctx, slot)
		if here == 0 && err == nil {
			w.remove(slot)
		}
		found, again = found+here, again+stored
		if err != nil {
			problem = err
		}
	}
	switch {
	case found == 0:
		w.logged = time.Time{}
	case w.logged.IsZero() || time.Since(w.logged) >= warnPause:
		w.logged = time.Now()
		q.config.Logger.Warn("tocsin: the NATS servers did not start jobs whose time had come, as when their storage is full",
			"overdue", found, "published_again", again, "error", problem)
	}
}

// slots lists the slots before one that hold schedules of a lane, or of all.
func (q *Queue) slots(ctx context.Context, lane string, before int64) (map[int64]bool, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	subjects, err := countBySubject(ctx, q.jobs, q.names.schedules(lane, wildcard))
	if err != nil {
		return nil, err
	}
	slots := map[int64]bool{}
	for subject := range subjects {
		if slot, err := slotIn(subject); err == nil && slot < before {
			slots[slot] = true
		}
	}
	return slots, nil
}

// republish publishes the schedules of a slot again that are still there. It returns how many there were and how
// many the servers took.
func (q *Queue) republish(ctx context.Context, slot int64) (found, stored int, err error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	for seq := uint64(1); ; {
		m, err := q.get(ctx, q.names.jobs(), jsapi.Query{Seq: seq, NextOf: q.names.schedules(wildcard, slotToken(slot))})
		if jsapi.IsNotFound(err) {
			return found, stored, nil
		}
		if err != nil {
			return found, stored, err
		}
		found++
		seq = m.Sequence + 1
		switch err := q.replace(ctx, m); {
		case err == nil:
			stored++
		case jsapi.IsConflict(err): // it was written just now, or another process was faster
		default:
			return found, stored, err
		}
	}
}

// replace puts a copy of a schedule in its place.
func (q *Queue) replace(ctx context.Context, m *jetstream.RawStreamMsg) error {
	seq := strconv.FormatUint(m.Sequence, 10)
	again := &nats.Msg{Subject: m.Subject, Header: maps.Clone(m.Header), Data: m.Data}
	again.Header[jetstream.MsgIDHeader] = []string{"again@" + seq}
	again.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{seq}
	return q.store(ctx, again)
}

// dueBefore reports whether a lane has schedules of times before one, by the servers' clock.
func (q *Queue) dueBefore(ctx context.Context, lane string, end time.Time) (bool, error) {
	filter := q.names.schedules(lane, wildcard)
	if some, err := found(q.get(ctx, q.names.jobs(), jsapi.Query{Seq: 1, NextOf: filter})); !some || err != nil {
		return false, err
	}
	last := slotOf(end)
	slots, from := q.watch.slots(), slotOf(q.clock.now().Add(-2*slotLength))
	if last-from > longestGap {
		some, err := q.slots(ctx, lane, last)
		if len(some) > 0 || err != nil {
			return len(some) > 0, err
		}
		from = last
	}
	for ; from < last; from++ {
		slots = append(slots, from)
	}
	for _, slot := range slots {
		filter := q.names.schedules(lane, slotToken(slot))
		if some, err := found(q.get(ctx, q.names.jobs(), jsapi.Query{Seq: 1, NextOf: filter})); some || err != nil {
			return some, err
		}
	}
	for seq := uint64(1); ; {
		m, err := q.get(ctx, q.names.jobs(), jsapi.Query{Seq: seq, NextOf: q.names.schedules(lane, slotToken(last))})
		if jsapi.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if n, err := readNumbers(m.Header.Get(headerJob)); err == nil && n.notBefore.Before(end) {
			return true, nil
		}
		seq = m.Sequence + 1
	}
}
