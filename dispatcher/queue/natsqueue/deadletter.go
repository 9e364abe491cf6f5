package natsqueue

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/jsapi"
)

// deadMessage is the dead letter of a job whose message has that number.
func (q *Queue) deadMessage(j *queue.Job, seq uint64, at time.Time, reason string) *nats.Msg {
	m := jobMessage(j)
	m.Subject = q.names.subject(kindDead, token(j.Lane), digest(j.ID()))
	m.Header[jetstream.MsgIDHeader] = []string{followID(j, seq)}
	m.Header[headerDeadAt] = []string{formatTime(at)}
	m.Header[headerReason] = []string{url.QueryEscape(strings.ToValidUTF8(reason[:min(len(reason), longestReason)], ""))}
	return m
}

// longestReason is how much of a reason is kept; escaped it may become three times as long.
const longestReason = 2 << 10

// corruptMessage keeps a message that is no job, as it is. DeadLetters does not list it, Count counts it.
func (q *Queue) corruptMessage(l *lane, d *delivery) *nats.Msg {
	id := "corrupt@" + strconv.FormatUint(d.Sequence, 10)
	return &nats.Msg{
		Subject: q.names.subject(kindDead, l.token, digest(id)),
		Header:  nats.Header{jetstream.MsgIDHeader: {id}, headerDeadAt: {formatTime(time.Now())}},
		Data:    d.Data,
	}
}

// storeDead stores a dead letter of the lane, after the oldest ones that the lane's bound leaves no room for are gone.
// The owner of a lane is the only one who adds to them; so it need not count while there cannot be too many.
func (l *lane) storeDead(ctx context.Context, m *nats.Msg) error {
	select {
	case l.deadLock <- struct{}{}:
		defer func() { <-l.deadLock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	q, b, subjects := l.q, l.q.bound(l.name), l.q.names.subject(kindDead, l.token, wildcard)
	if most := l.mostDead.Load(); most < 0 || int(most) >= b.DeadLetters {
		n, err := jsapi.Count(ctx, q.nc, q.names.dead(), subjects)
		if err != nil {
			return err
		}
		for ; n >= b.DeadLetters; n-- {
			oldest, err := q.get(ctx, q.names.dead(), jsapi.Query{Seq: 1, NextOf: subjects})
			if jsapi.IsNotFound(err) {
				n = 0
				break
			}
			if err == nil {
				_, err = q.remove(ctx, q.dead, q.names.dead(), oldest.Sequence)
			}
			if err != nil {
				return err
			}
		}
		l.mostDead.Store(int64(n))
	}
	if b.DeadLetterAge > 0 {
		age := max((b.DeadLetterAge + time.Second - 1).Truncate(time.Second), time.Second)
		m.Header[jetstream.MsgTTLHeader] = []string{age.String()}
	}
	err := q.store(ctx, m)
	l.mostDead.Add(1)
	return err
}

// readDeadLetter is the inverse of deadMessage.
func readDeadLetter(m *jetstream.RawStreamMsg) (queue.DeadLetter, error) {
	lane, err := laneOf(m.Subject)
	if err != nil {
		return queue.DeadLetter{}, err
	}
	j, err := readJob(lane, m.Header, m.Data)
	if err != nil {
		return queue.DeadLetter{}, err
	}
	r := fields{header: m.Header}
	letter := queue.DeadLetter{Job: j, Seq: int64(m.Sequence), At: r.time(headerDeadAt), Reason: r.text(headerReason)}
	if r.bad {
		return queue.DeadLetter{}, errCorrupt
	}
	return letter, nil
}

// page is how many dead letters are read at a time.
const page = 256

// DeadLetters implements queue.Queue. The leader is asked for one after the other: any other server, and so a
// consumer, may still show what was just removed.
func (q *Queue) DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lane := wildcard
	if s.Lane != "" {
		lane = token(s.Lane)
	}
	if s.IDs == nil {
		return q.deadLetters(ctx, q.names.subject(kindDead, lane, wildcard), s, nil)
	}
	var all []queue.DeadLetter
	for _, id := range slices.Compact(slices.Sorted(slices.Values(s.IDs))) {
		var err error
		if all, err = q.deadLetters(ctx, q.names.subject(kindDead, lane, digest(id)), s, all); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b queue.DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	if s.Limit > 0 {
		all = all[:min(s.Limit, len(all))]
	}
	return all, nil
}

// deadLetters appends the selected dead letters of some subjects, in their order, until there are s.Limit.
func (q *Queue) deadLetters(ctx context.Context, subjects string, s queue.Selection, all []queue.DeadLetter) ([]queue.DeadLetter, error) {
	had := 0
	for next := uint64(max(s.After, 0)) + 1; s.Limit <= 0 || had < s.Limit; {
		m, err := q.deadLetter(ctx, subjects, next)
		if jsapi.IsNotFound(err) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		next = m.Sequence + 1
		letter, err := readDeadLetter(m)
		if err != nil {
			q.config.Logger.Error("tocsin: a dead letter cannot be read", "subject", m.Subject, "error", err)
			continue
		}
		if s.Match(letter) {
			all = append(all, letter)
			had++
		}
	}
	return all, nil
}

// deadLetter reads the first message of some subjects from a number on.
func (q *Queue) deadLetter(ctx context.Context, subjects string, from uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	return q.get(ctx, q.names.dead(), jsapi.Query{Seq: from, NextOf: subjects})
}

// Requeue implements queue.Queue. A letter is removed after its job was stored; a crash in between leaves both.
func (q *Queue) Requeue(ctx context.Context, s queue.Selection, generation int64) (int, error) {
	return q.removeEach(ctx, s, func(ctx context.Context, letters []queue.DeadLetter) error {
		msgs := make([]*nats.Msg, len(letters))
		for i, l := range letters {
			j := queue.Job{
				Event: l.Event, Lane: l.Lane, OrderKey: l.OrderKey, Generation: generation, Headers: l.Headers, Enqueued: time.Now(),
			}
			msgs[i] = q.message(&j, requeueID(&j, l.Seq))
		}
		ctx, cancel := q.bounded(ctx)
		defer cancel()
		return q.store(ctx, msgs...)
	})
}

// requeueID is the message id of the job that takes the place of the dead letter with that number. As in followID
// the number makes it unlike any other: a job requeued twice with one generation is not mistaken for itself the
// first time.
func requeueID(j *queue.Job, seq int64) string {
	return j.ID() + firstID + "@dead" + strconv.FormatInt(seq, 10)
}

// Discard implements queue.Queue.
func (q *Queue) Discard(ctx context.Context, s queue.Selection) (int, error) {
	return q.removeEach(ctx, s, func(context.Context, []queue.DeadLetter) error { return nil })
}

// removeEach removes the selected dead letters, a page at a time, after f has had them. It reports how many it removed.
// What becomes dead after it began is left alone, or a lane whose jobs fail at once would be requeued without an end.
func (q *Queue) removeEach(ctx context.Context, s queue.Selection, f func(context.Context, []queue.DeadLetter) error) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	last, err := q.lastNumber(ctx, q.dead)
	if err != nil {
		return 0, err
	}
	removed := 0
	for {
		one := s
		if one.Limit = page; s.Limit > 0 {
			one.Limit = min(page, s.Limit-removed)
		}
		letters, err := q.DeadLetters(ctx, one)
		letters = slices.DeleteFunc(letters, func(l queue.DeadLetter) bool { return uint64(l.Seq) > last })
		if err != nil || len(letters) == 0 {
			return removed, err
		}
		if err := f(ctx, letters); err != nil {
			return removed, err
		}
		for _, l := range letters {
			if err := q.removeDeadLetter(ctx, uint64(l.Seq)); err != nil {
				return removed, err
			}
			removed++
		}
		if s.After = letters[len(letters)-1].Seq; removed == s.Limit {
			return removed, nil
		}
	}
}

func (q *Queue) removeDeadLetter(ctx context.Context, seq uint64) error {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	_, err := q.remove(ctx, q.dead, q.names.dead(), seq)
	return err
}
