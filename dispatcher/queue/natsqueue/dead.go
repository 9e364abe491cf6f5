package natsqueue

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
	"github.com/tocsin-go/tocsin/dispatcher/queue/natsqueue/internal/ask"
)

// deadMessage is the dead letter of a job whose message has that number.
func (q *Queue) deadMessage(j *queue.Job, seq uint64, died time.Time, reason string) *nats.Msg {
	m := jobMessage(j)
	m.Subject = q.names.subject(kindDead, token(j.Route), digest(j.ID()))
	m.Header[jetstream.MsgIDHeader] = []string{followID(j, seq)}
	m.Header[headerDied] = []string{stamp(died)}
	m.Header[headerReason] = []string{url.QueryEscape(reason)}
	return m
}

// corruptMessage keeps a message that is no job, as it is. DeadLetters does not list it, Count counts it.
func (q *Queue) corruptMessage(l *lane, seq uint64, msg jetstream.Msg) *nats.Msg {
	id := "corrupt@" + strconv.FormatUint(seq, 10)
	return &nats.Msg{
		Subject: q.names.subject(kindDead, l.token, digest(id)),
		Header:  nats.Header{jetstream.MsgIDHeader: {id}, headerDied: {stamp(time.Now())}},
		Data:    msg.Data(),
	}
}

// readLetter is the inverse of deadMessage.
func readLetter(m jetstream.Msg) (queue.DeadLetter, error) {
	meta, err := m.Metadata()
	if err != nil {
		return queue.DeadLetter{}, err
	}
	lane, err := laneOf(m.Subject())
	if err != nil {
		return queue.DeadLetter{}, err
	}
	j, err := readJob(lane, m.Headers(), m.Data())
	if err != nil {
		return queue.DeadLetter{}, err
	}
	r := fields{header: m.Headers()}
	letter := queue.DeadLetter{Job: j, Seq: int64(meta.Sequence.Stream), Died: r.time(headerDied), Reason: r.text(headerReason)}
	if r.bad {
		return queue.DeadLetter{}, errCorrupt
	}
	return letter, nil
}

// page is how many dead letters are read at a time.
const page = 256

// letters gives the selected dead letters to f, until it has had s.Limit of them.
func (q *Queue) letters(ctx context.Context, s queue.Selection, f func(queue.DeadLetter) error) (err error) {
	if s.IDs != nil && len(s.IDs) == 0 {
		return nil
	}
	lane := anything
	if s.Lane != "" {
		lane = token(s.Lane)
	}
	var subjects []string
	for _, id := range slices.Compact(slices.Sorted(slices.Values(s.IDs))) {
		subjects = append(subjects, q.names.subject(kindDead, lane, digest(id)))
	}
	if s.IDs == nil {
		subjects = []string{q.names.subject(kindDead, lane, anything)}
	}
	c, err := ask.Until(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return q.dead.CreateConsumer(ctx, jetstream.ConsumerConfig{
			FilterSubjects: subjects, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
			OptStartSeq: uint64(max(s.After, 0)) + 1, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
		})
	})
	if err != nil {
		return err
	}
	defer func() { _ = q.dead.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) }() // else the server does, in a minute
	left, had, pause := c.CachedInfo().NumPending, 0, ask.LeastWait
	for left > 0 && (s.Limit <= 0 || had < s.Limit) {
		batch, err := c.Fetch(int(min(left, page)), jetstream.FetchContext(ctx))
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			left--
			letter, err := readLetter(m)
			if err != nil {
				q.config.Logger.Error("tocsin: a dead letter cannot be read", "subject", m.Subject(), "error", err)
				continue
			}
			if !s.Match(letter) || s.Limit > 0 && had == s.Limit {
				continue
			}
			had++
			if err := f(letter); err != nil {
				return err
			}
		}
		// A consumer that has just been made is not known to every server yet.
		if err := batch.Error(); err != nil && (!ask.Unanswered(err) || !ask.Rest(ctx, pause)) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// DeadLetters implements queue.Inspector.
func (q *Queue) DeadLetters(ctx context.Context, s queue.Selection) ([]queue.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	var all []queue.DeadLetter
	err := q.letters(ctx, s, func(l queue.DeadLetter) error { all = append(all, l); return nil })
	return all, err
}

// Requeue implements queue.Inspector. A letter is removed after its job was stored; a crash in between leaves both.
func (q *Queue) Requeue(ctx context.Context, s queue.Selection, generation int64) (int, error) {
	return q.each(ctx, s, func(ctx context.Context, letters []queue.DeadLetter) error {
		msgs := make([]*nats.Msg, len(letters))
		for i, l := range letters {
			j := queue.Job{
				Event: l.Event, Route: l.Route, OrderKey: l.OrderKey, Generation: generation, Headers: l.Headers, Enqueued: time.Now(),
			}
			msgs[i] = q.message(&j, j.ID()+firstID)
		}
		ctx, cancel := q.bounded(ctx)
		defer cancel()
		return q.store(ctx, msgs...)
	})
}

// Discard implements queue.Inspector.
func (q *Queue) Discard(ctx context.Context, s queue.Selection) (int, error) {
	return q.each(ctx, s, func(context.Context, []queue.DeadLetter) error { return nil })
}

// each removes the selected dead letters, a page at a time, after f has had them. It reports how many it removed.
func (q *Queue) each(ctx context.Context, s queue.Selection, f func(context.Context, []queue.DeadLetter) error) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	removed := 0
	for {
		one := s
		if one.Limit = page; s.Limit > 0 {
			one.Limit = min(page, s.Limit-removed)
		}
		letters, err := q.DeadLetters(ctx, one)
		if err != nil || len(letters) == 0 {
			return removed, err
		}
		if err := f(ctx, letters); err != nil {
			return removed, err
		}
		for _, l := range letters {
			if err := q.removeLetter(ctx, uint64(l.Seq)); err != nil {
				return removed, err
			}
			removed++
		}
		if s.After = letters[len(letters)-1].Seq; removed == s.Limit {
			return removed, nil
		}
	}
}

func (q *Queue) removeLetter(ctx context.Context, seq uint64) error {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	return remove(ctx, q.dead, seq)
}
