package postgresqueue

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tocsin-go/tocsin/dispatcher/queue/internal/durable"
)

// reapEvery is how often a process tries to remove dead workers at most.
const reapEvery = time.Second

// reap removes workers whose lease has ended, and gives their lanes away.
func (s *store) reap(*durable.News, []string) error {
	if !s.feed.dead || time.Since(s.reaped) < min(reapEvery, s.options.beat()) {
		return nil
	}
	s.reaped = time.Now()
	var dead []int64
	b := s.db.batch()
	b.rows(func(row pgx.Rows) error {
		var id int64
		err := row.Scan(&id)
		dead = append(dead, id)
		return err
	}, "SELECT id FROM tocsin.worker WHERE ends < clock_timestamp()")
	if err := s.db.run(context.Background(), b); err != nil || len(dead) == 0 {
		return err
	}
	return s.removeWorkers(removeDead, dead...)
}

// Workers whose lease has ended, as far as they do not use it at this moment, and one that leaves.
const (
	removeDead = `DELETE FROM tocsin.worker WHERE id IN (SELECT id FROM tocsin.worker WHERE id = ANY($1::bigint[])
		AND ends < clock_timestamp() FOR UPDATE SKIP LOCKED) RETURNING id`
	removeSelf = `DELETE FROM tocsin.worker WHERE id = ANY($1::bigint[]) RETURNING id`
)

// removeWorkers removes workers by one of these statements, and gives their lanes away.
func (s *store) removeWorkers(text string, workers ...int64) error {
	return s.db.within(context.Background(), func(send func(*batch) error) error {
		if err := s.lockOwners(send); err != nil {
			return err
		}
		var dead []int64
		b := &batch{db: s.db}
		b.rows(func(row pgx.Rows) error {
			var id int64
			err := row.Scan(&id)
			dead = append(dead, id)
			return err
		}, text, workers)
		if err := send(b); err != nil || len(dead) == 0 {
			return err
		}
		var lanes []int32
		b = &batch{db: s.db}
		b.add("DELETE FROM tocsin.want WHERE worker = ANY($1::bigint[])", dead)
		b.rows(func(row pgx.Rows) error {
			var num int32
			err := row.Scan(&num)
			lanes = append(lanes, num)
			return err
		}, "SELECT num FROM tocsin.lane WHERE owner = ANY($1::bigint[]) ORDER BY num FOR UPDATE", dead)
		if err := send(b); err != nil {
			return err
		}
		return s.assign(send, lanes, dead)
	})
}

// isGone reports whether a worker is not there any more.
func isGone(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// closeOwnership gives everything up.
func (s *store) closeOwnership() error {
	s.resign()
	if len(s.sweep) > 0 { // else the janitor of another process finds them
		b := s.db.batch()
		s.addSweep(b)
		_ = s.db.run(context.Background(), b)
	}
	if s.worker == 0 {
		return nil
	}
	err := s.removeWorkers(removeSelf, s.worker)
	if isConflict(err) { // with a transaction of another process, which goes on now
		err = s.removeWorkers(removeSelf, s.worker)
	}
	return err
}
