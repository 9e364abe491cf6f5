package natsqueue

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// window is how many messages are to be here. Called with the lane locked.
func (l *lane) window() int { return min(2*l.limit+readAhead, max(mostRead, l.limit)) }

// reread has all messages read anew that are not here. What is removed meanwhile may be read before. Called with the
// lane locked.
func (l *lane) reread() {
	l.cursor, l.keyedOn, l.notes, l.unread, l.keyed, l.unsure = 0, 0, nil, true, true, max(l.unsure, l.seen)
}

// load reads messages.
func (l *lane) load(ctx context.Context) error {
	l.mu.Lock()
	plain, keyed := l.unread, l.keyed
	l.mu.Unlock()
	var err error
	if plain {
		err = l.loadPlain(ctx)
	}
	if keyed && err == nil {
		err = l.loadKeyed(ctx)
	}
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.recovered()
	}
	return err
}

// loadPlain reads plain jobs. Those of one subject the servers find at once.
func (l *lane) loadPlain(ctx context.Context) error {
	l.mu.Lock()
	from, n, since := l.cursor, l.window()-l.inOrder(), l.since
	l.unread, l.loading = false, true
	l.mu.Unlock()
	msgs, more, err := l.q.reader.Next(ctx, l.q.names.subject(kindReady, l.token, plainJob), from, n)
	var h *head
	if err == nil && len(msgs) > 0 && !l.headRead && msgs[0].Header.Get(headerOrderKey) != "" {
		h, err = l.q.headOf(ctx, l.token)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loading = false
	if err != nil {
		l.unread = true
		return err
	}
	if !l.owned || !l.since.Equal(since) || l.cursor != from { // lost, or to be read anew
		l.unread = true
		return nil
	}
	l.headRead = true
	for _, m := range msgs {
		d := l.take(m)
		if d != nil && h != nil && h.seq == m.Sequence {
			d.state = h
			if l.q.isLater(h.notBefore) {
				wait := l.q.clock.until(h.notBefore)
				d.at = time.Now().Add(wait)
				time.AfterFunc(wait, l.wake)
			}
		}
	}
	l.unread = l.handNotes(more > 0)
	if l.backlog = 0; l.unread {
		l.backlog = more
	}
	switch {
	case l.unread || l.latest < l.cursor || l.latest == l.absent || l.q.config.Replicas == 1:
		l.behind = 0
	case l.behind < mostBehind:
		l.behind++
		l.unread = true
		l.wait(behindPause)
	default:
		l.absent = l.latest
	}
	return nil
}

// loadKeyed reads scheduled jobs whose time has come. Each has a subject of its own, and that there are many is rare.
func (l *lane) loadKeyed(ctx context.Context) error {
	l.mu.Lock()
	from, n, since := l.keyedOn, l.window(), l.since
	l.keyed = false
	l.mu.Unlock()
	filter, more := l.q.names.subject(kindReady, l.token, wildcard), 0
	msgs, few, err := l.q.reader.Latest(ctx, filter)
	if err == nil && !few {
		msgs, more, err = l.q.reader.Next(ctx, filter, from, n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || !l.owned || !l.since.Equal(since) || l.keyedOn != from {
		l.keyed = true
		return err
	}
	l.keyed = more > 0
	for _, m := range msgs {
		if !isPlain(m.Subject) {
			l.hold(m)
		}
		if more > 0 {
			l.keyedOn = m.Sequence + 1
		}
	}
	return nil
}

// isPlain reports whether the subject is that of a lane's plain jobs.
func isPlain(subject string) bool { return strings.HasSuffix(subject, "."+plainJob) }

// take holds a plain job that was read, unless it is here already. Called with the lane locked.
func (l *lane) take(m *jetstream.RawStreamMsg) *delivery {
	l.cursor = m.Sequence + 1
	return l.hold(m)
}

// hold holds a job that was read, unless it is here already. Called with the lane locked.
func (l *lane) hold(m *jetstream.RawStreamMsg) *delivery {
	l.seen = max(l.seen, m.Sequence+1)
	if l.has(m.Sequence) {
		return nil
	}
	d := &delivery{RawStreamMsg: m, unsure: m.Sequence < l.unsure}
	l.out[m.Sequence] = d
	l.insert(d)
	l.q.worker.jobs.Add(1)
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

// hand takes a message as if it had been read, if there is room and all plain jobs before it have been, and reports whether
// it did. Called with the lane locked.
func (l *lane) hand(n note) bool {
	m := &jetstream.RawStreamMsg{Subject: n.Header.Get(jetstream.SubjectHeader), Sequence: n.seq, Header: n.Header, Data: n.Data}
	room := l.inOrder() < l.window() || len(l.held) < mostHeld && l.q.worker.jobs.Load() < mostJobs
	switch {
	case !isPlain(m.Subject) && room:
		l.hold(m)
	case !isPlain(m.Subject):
		l.keyed = true
	case n.seq < l.cursor: // it was read
	case !room || n.before >= max(l.cursor, 1):
		return false
	default:
		l.take(m)
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
	l.held, l.seen, l.unsure, l.latest = nil, 0, 0, 0
	l.reread()
	l.step()
}
