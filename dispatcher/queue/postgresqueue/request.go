package postgresqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// request is what another process asks the owner of a lane to do, because only the owner knows which of its jobs have
// started.
type request struct {
	id    int64
	lane  string
	key   []byte // nil = purge
	below int64  // whoever does it later than asked for removes nothing newer
	waits bool   // somebody waits for the answer; else it is of Schedule
}

// answering is the requests that are being done.
type answering struct {
	mu  sync.Mutex
	all map[int64]bool
}

func (a *answering) start(id int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[id] {
		return false
	}
	if a.all == nil {
		a.all = map[int64]bool{}
	}
	a.all[id] = true
	return true
}

func (a *answering) end(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
}

// readRequests has the requests to this process done, each in a goroutine of its own: they go through the writer, as
// calls of this process do.
func (s *store) readRequests() error {
	var found []request
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var r request
		var lane int32
		err := row.Scan(&r.id, &lane, &r.key, &r.below, &r.waits)
		r.lane = s.name(lane)
		found = append(found, r)
		return err
	}, `SELECT r.id, r.lane, r.key, r.below, r.waits FROM tocsin.request r JOIN tocsin.lane l ON l.num = r.lane
		WHERE l.owner = $1 AND r.answer IS NULL ORDER BY r.id LIMIT 100`, s.worker)
	if err := s.db.run(context.Background(), b); err != nil {
		return err
	}
	for _, r := range found {
		if s.feed.answering.start(r.id) {
			s.serving.Go(func() {
				defer s.feed.answering.end(r.id)
				s.serve(r)
			})
		}
	}
	return nil
}

// errWithdrawn is that of a request that was answered before, or is not there any more.
var errWithdrawn = errors.New("postgresqueue: the request was withdrawn")

// setAnswer keeps the first answer: a request can be read again just before it is answered, and is done twice then.
const setAnswer = "UPDATE tocsin.request SET answer = $2 WHERE id = $1 AND answer IS NULL"

// answer does what a request asks for. When that fails it is done again. Whether a job was cancelled is stored together
// with that, so that neither a crash in between nor who withdraws the request turns the answer into its opposite.
func (q *Queue) answer(r request) {
	ctx := context.Background()
	if r.key != nil {
		_ = q.durable.CancelWithin(ctx, r.lane, string(r.key), r.below, func(t durable.Tx, cancel func() (bool, error)) error {
			own, _ := t.(*tx)
			asked := 0
			own.next.add("SELECT 1 FROM tocsin.request WHERE id = $1 AND answer IS NULL FOR UPDATE", r.id).Exec(count(&asked))
			if err := own.flush(); err != nil {
				return err
			}
			if asked == 0 {
				return durable.Refuse(errWithdrawn)
			}
			found, err := cancel()
			if r.waits {
				own.next.add(setAnswer, r.id, number(found))
			} else {
				own.next.add("DELETE FROM tocsin.request WHERE id = $1", r.id)
			}
			return err
		})
		return
	}
	if n, err := q.durable.PurgeBelow(ctx, r.lane, r.below); err == nil {
		b := q.store.db.batch()
		b.add(setAnswer, r.id, n)
		_ = q.store.db.read(ctx, b)
	}
}

// number is how many jobs were removed.
func number(found bool) int {
	if found {
		return 1
	}
	return 0
}

// askEvery is how often it is looked whether a request was answered.
const askEvery = 20 * time.Millisecond

// byOwner does something with a lane here, or has its owner do it if that is another process.
func (q *Queue) byOwner(ctx context.Context, op, lane string, key []byte, here func() (int, error)) (n int, err error) {
	if err := q.store.lookUp(ctx, lane); err != nil {
		return 0, storeError(op, err)
	}
	if q.store.lane(lane) == 0 {
		return 0, q.over(ctx)
	}
	for {
		n, err = here()
		if !errors.Is(err, errElsewhere) {
			return n, err
		}
		n, done, err := q.ask(ctx, lane, key)
		if done || err != nil {
			return n, storeError(op, err)
		}
	}
}

// ask asks the owner of a lane. done is false when the lane belongs to nobody any more.
func (q *Queue) ask(ctx context.Context, lane string, key []byte) (n int, done bool, err error) {
	d := q.store.db
	var id int64
	b := d.batch()
	b.add(`INSERT INTO tocsin.request (lane, key, below, waits) SELECT $1, $2, last_value + $3, true
		FROM tocsin.event_seq RETURNING id`,
		q.store.lane(lane), key, int64(blockSize)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	if err := d.read(ctx, b); err != nil {
		return 0, false, err
	}
	withdraw := func(ctx context.Context) (answer *int64, err error) {
		b := d.batch()
		b.rows(func(row pgx.Rows) error { return row.Scan(&answer) }, "DELETE FROM tocsin.request WHERE id = $1 RETURNING answer", id)
		return answer, d.read(ctx, b)
	}
	defer func() {
		if err != nil {
			_, _ = withdraw(context.WithoutCancel(ctx)) // else it is removed after a while
		}
	}()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, false, ctx.Err()
		case <-q.closedSignal:
			return 0, false, ErrClosed
		}
		var answered, owned bool
		b := d.batch()
		b.rows(func(row pgx.Rows) error { return row.Scan(&answered, &owned) },
			`SELECT answer IS NOT NULL, EXISTS (SELECT FROM tocsin.lane l WHERE l.num = r.lane AND l.owner IS NOT NULL)
			FROM tocsin.request r WHERE id = $1`, id)
		if err := d.read(ctx, b); err != nil {
			return 0, false, err
		}
		if owned && !answered && !q.store.isMine(lane) {
			continue
		}
		switch answer, err := withdraw(ctx); {
		case err != nil:
			return 0, false, err
		case answer != nil:
			return int(*answer), true, nil
		default:
			return 0, false, nil
		}
	}
}
