package natsqueue

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// window is how many messages are to be here. Called with the lane locked.
func (l *lane) window() int { return min(2*l.limit+readAhead, max(mostRead, l.limit)) }

// reread has all messages read anew that are not here. Called with the lane locked.
func (l *lane) reread() {
	l.cursor, l.keyedOn, l.notes, l.unread, l.keyed, l.unsure = 0, 0, nil, true, true, l.touched
	l.reads++
}

// load reads messages.
func (l *lane) load(ctx context.Context) error {
	l.mu.Lock()
	plain, keyed := l.unread, l.keyed
	l.forgotten = map[uint64]bool{}
	for b := l.before; b != nil; b = l.addHere(b) {
	}
	l.mu.Unlock()
	var err error
	if plain {
		err = l.loadPlain(ctx)
	}
	if keyed && err == nil {
		err = l.loadKeyed(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgotten = nil
	if err == nil {
		l.recovered()
	}
	return err
}

// addHere adds what is here of a lane opened before to forgotten, and returns the one before that. Called with the lane
// locked.
func (l *lane) addHere(b *lane) *lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	for seq := range b.out {
		l.forgotten[seq] = true
	}
	return b.before
}

// loadPlain reads plain jobs. Those of one subject the servers find at once.
func (l *lane) loadPlain(ctx context.Context) error {
	l.mu.Lock()
	from, n, reads, unsure, latest := l.cursor, l.window()-l.inOrder(), l.reads, l.unsure, l.latest
	complete := l.complete && (latest < from || latest == l.absent)
	l.unread, l.loading = false, true
	l.mu.Unlock()
	subject := l.q.names.subject(kindReady, l.token, plainJob)
	msgs, more, err := l.q.reader.Next(ctx, subject, from, n)
	end := from
	if len(msgs) > 0 {
		end = msgs[len(msgs)-1].Sequence + 1
		complete = complete || l.complete && latest < end
	}
	absent := uint64(0)
	if err == nil {
		msgs, err = l.q.stored(ctx, msgs, unsure)
	}
	if err == nil && more == 0 && !complete && l.q.config.Replicas > 1 {
		var next *jetstream.RawStreamMsg
		switch next, err = l.q.get(ctx, l.q.names.jobs(), jsapi.Query{Seq: max(end, 1), NextOf: subject}); {
		case err == nil: // the replica that was asked is behind
			msgs, end, more = append(msgs, next), next.Sequence+1, 1
		case jsapi.IsNotFound(err):
			absent, err = latest, nil
		}
	}
	var h *head
	if err == nil && from == 0 && len(msgs) > 0 && msgs[0].Header.Get(headerOrderKey) != "" {
		h, err = l.q.headOf(ctx, l.token)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loading = false
	if err != nil || !l.owned || l.reads != reads { // lost, or to be read anew
		l.unread = true
		return err
	}
	for _, m := range msgs {
		d := l.hold(m)
		if d != nil && h != nil && h.seq == m.Sequence {
			d.state = h
			if l.q.isLater(h.notBefore) {
				wait := l.q.clock.until(h.notBefore)
				d.at = time.Now().Add(wait)
				time.AfterFunc(wait, l.wake)
			}
		}
	}
	l.cursor = max(l.cursor, end)
	l.absent = max(l.absent, absent)
	l.complete = l.complete || more == 0
	l.unread = l.handNotes(more > 0)
	if l.backlog = 0; l.unread {
		l.backlog = more
	}
	return nil
}

// stored drops those messages before a number that the leader of the stream does not have any more: a replica may show
// for a while what was removed.
func (q *Queue) stored(
	ctx context.Context, msgs []*jetstream.RawStreamMsg, before uint64,
) ([]*jetstream.RawStreamMsg, error) {
	if q.config.Replicas == 1 {
		return msgs, nil
	}
	var unsure []uint64
	for _, m := range msgs {
		if m.Sequence < before {
			unsure = append(unsure, m.Sequence)
		}
	}
	there, err := q.reader.Exist(ctx, unsure)
	return slices.DeleteFunc(msgs, func(m *jetstream.RawStreamMsg) bool {
		return m.Sequence < before && !there[m.Sequence]
	}), err
}

// loadKeyed reads scheduled jobs whose time has come. Each has a subject of its own, and that there are many is rare.
func (l *lane) loadKeyed(ctx context.Context) error {
	l.mu.Lock()
	from, n, reads, touched, unheld := l.keyedOn, l.window(), l.reads, l.touched, l.unheld
	l.keyed = false
	l.mu.Unlock()
	filter, more := l.q.names.subject(kindReady, l.token, wildcard), 0
	msgs, few, err := l.q.reader.Latest(ctx, filter)
	if err == nil && !few {
		msgs, more, err = l.q.reader.Next(ctx, filter, from, n)
	}
	end, last := from, uint64(0)
	if len(msgs) > 0 {
		last = msgs[len(msgs)-1].Sequence
	}
	if more > 0 {
		end = last + 1
	}
	behind := false
	if err == nil && more == 0 && last < unheld && l.q.config.Replicas > 1 {
		behind, err = l.q.exists(ctx, unheld)
	}
	msgs = slices.DeleteFunc(msgs, func(m *jetstream.RawStreamMsg) bool { return isPlain(m.Subject) })
	if err == nil {
		msgs, err = l.q.stored(ctx, msgs, touched)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || !l.owned || l.reads != reads {
		l.keyed = true
		return err
	}
	l.keyed, l.keyedOn = l.keyed || more > 0 || behind, end
	for _, m := range msgs {
		l.hold(m)
	}
	if behind {
		l.wait(jsapi.MinPause)
	}
	return nil
}

// isPlain reports whether the subject is that of a lane's plain jobs.
func isPlain(subject string) bool { return strings.HasSuffix(subject, "."+plainJob) }

// hold holds a job that was read, unless it is or was here already. Called with the lane locked.
func (l *lane) hold(m *jetstream.RawStreamMsg) *delivery {
	l.touched = max(l.touched, m.Sequence+1)
	if l.forgotten[m.Sequence] || l.has(m.Sequence) {
		return nil
	}
	d := &delivery{RawStreamMsg: m}
	l.out[m.Sequence] = d
	l.q.worker.jobs.Add(1)
	if l.isOrphan(m) {
		l.discard(d)
		return nil
	}
	l.insert(d)
	return d
}

// insert adds a job to those that are held. Called with the lane locked.
func (l *lane) insert(d *delivery) {
	i := len(l.held)
	for i > 0 && l.held[i-1].Sequence > d.Sequence {
		i--
	}
	l.held = slices.Insert(l.held, i, d)
}

// note is a message that was stored.
type note struct {
	*nats.Msg
	seq, before uint64 // its number, and that of the one before it with its subject that was still there; 0 = there was none
}

// stored is called when a message was stored in the lane.
func (l *lane) stored(n note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := n.seq <= l.latest // from a former leader, or the stream was made anew
	l.latest = n.seq
	switch {
	case late && l.owned:
		l.reread()
	case l.loading:
		if l.notes = append(l.notes, n); len(l.notes) > mostNotes {
			l.notes, l.keyed = slices.Delete(l.notes, 0, mostNotes/2), true
		}
	case l.owned && (!l.unread || !isPlain(n.Header.Get(jetstream.SubjectHeader))):
		l.unread = !l.hand(n) || l.unread
	default:
		l.unread, l.keyed = true, l.keyed || !l.owned
	}
	l.step()
}

// hand takes a message as if it had been read, if there is room and all plain jobs before it have been, and reports
// whether it did. Called with the lane locked.
func (l *lane) hand(n note) bool {
	m := &jetstream.RawStreamMsg{Subject: n.Header.Get(jetstream.SubjectHeader), Sequence: n.seq, Header: n.Header, Data: n.Data}
	room := l.inOrder() < l.window() || len(l.held) < mostHeld && l.q.worker.jobs.Load() < mostJobs
	switch {
	case !isPlain(m.Subject) && room && n.seq >= max(l.fresh, l.touched):
		l.hold(m)
	case !isPlain(m.Subject):
		l.keyed, l.unheld = true, max(l.unheld, n.seq)
	case n.seq < l.cursor: // it was read
	case !room || n.seq < max(l.fresh, l.touched) || n.before >= max(l.cursor, 1):
		return false
	default:
		l.hold(m)
		l.cursor = n.seq + 1
	}
	return true
}

// handNotes takes what was stored while messages were read, and reports whether there may be more to read; more says
// that there were when they were read. Called with the lane locked.
func (l *lane) handNotes(more bool) (unread bool) {
	notes := l.notes
	l.notes = nil
	for _, n := range notes {
		if !l.hand(n) {
			l.keyed = true // there may be some behind
			return true
		}
	}
	return more && (len(notes) == 0 || notes[len(notes)-1].seq < l.cursor-1)
}

// anew is called when the stream of jobs was made anew: what is here is of another one.
func (l *lane) anew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.out {
		l.forget(d)
	}
	l.held, l.fresh, l.touched, l.latest, l.absent = nil, 0, 0, 0, 0
	l.reread()
	l.step()
}
