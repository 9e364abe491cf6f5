package postgresqueue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// lease is what makes lanes this process's: a row of table worker, whose end is moved on with each beat. The writer
// registers and reads worker; the beats run in a goroutine of their own, so that a slow transaction does not end the
// lease.
//
// By its own clock, counted from when the last beat was sent, the process interrupts its lanes before the lease ends:
// the server's began later, so nobody has taken them by then. A clock that stands still while the machine sleeps does
// not notice; then the fence in each transaction refuses what the process still writes.
type lease struct {
	worker int64 // 0 = none

	interrupt func() // keeps all lanes from running jobs
	poll      func() // has the writer poll soon

	over    atomic.Bool // the lease has ended or soon will: the writer is to give it up
	stopped context.CancelFunc
	beating sync.WaitGroup
}

// margin is how long before the end of the lease the lanes are interrupted.
func (o Options) margin() time.Duration { return o.Lease / 10 }

// beat is how often the lease is renewed.
func (o Options) beat() time.Duration { return o.Lease / 3 }

const (
	addWorker = `INSERT INTO tocsin.worker (ends) VALUES (clock_timestamp() + $1 * interval '1 microsecond') RETURNING id, clock_timestamp()`
	beatLease = `UPDATE tocsin.worker SET ends = clock_timestamp() + $2 * interval '1 microsecond' WHERE id = $1 RETURNING id, clock_timestamp()`
)

// register begins a lease.
func (s *store) register() error {
	id, sent, err := s.renew(context.Background(), addWorker, s.options.Lease.Microseconds())
	if err != nil {
		return err
	}
	s.worker = id
	s.over.Store(false)
	ctx, cancel := context.WithCancel(context.Background())
	s.stopped = cancel
	s.beating.Go(func() { s.keepLease(ctx, id, sent) })
	return nil
}

// renew begins or prolongs a lease, and says when that was sent.
func (s *store) renew(ctx context.Context, text string, args ...any) (id, sent int64, err error) {
	var server time.Time
	b := s.db.batch()
	b.add(text, args...).QueryRow(func(row pgx.Row) error { return row.Scan(&id, &server) })
	sent = s.clock.elapsed()
	if err := s.db.run(ctx, b); err != nil {
		return 0, 0, err
	}
	s.clock.follow(server, sent, s.clock.elapsed())
	return id, sent, nil
}

// keepLease renews a lease until ctx ends. When it cannot, it interrupts the lanes in time and has the writer give the
// lease up.
func (s *store) keepLease(ctx context.Context, id, sent int64) {
	defer func() {
		if ctx.Err() == nil {
			s.over.Store(true)
			s.poll()
		}
	}()
	end := time.AfterFunc(s.leftAfter(sent), s.endLease)
	defer end.Stop()
	next := time.NewTimer(s.options.beat())
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		// A beat is not waited for longer than until the next one is due.
		beating, cancel := context.WithTimeout(ctx, s.options.beat())
		_, at, err := s.renew(beating, beatLease, id, s.options.Lease.Microseconds())
		cancel()
		switch {
		case s.over.Load():
			return
		case err == nil:
			end.Reset(s.leftAfter(at))
			next.Reset(s.options.beat())
		case isGone(err):
			s.endLease()
			return
		default:
			next.Reset(s.options.beat() / 4)
		}
	}
}

// leftAfter is how long lanes may run yet after a beat that was sent at that moment.
func (s *store) leftAfter(sent int64) time.Duration {
	return s.options.Lease - s.options.margin() - time.Duration(s.clock.elapsed()-sent)
}

// endLease interrupts all lanes.
func (s *store) endLease() {
	s.over.Store(true)
	s.interrupt()
	s.poll()
}

// resign stops the beats.
func (s *store) resign() {
	if s.stopped != nil {
		s.stopped()
		s.beating.Wait()
		s.stopped = nil
	}
}
