package sqlitequeue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

// dedupStore keeps in the queue's file what was delivered. Claims are in memory, as the leases of jobs are: one process
// owns the file, and a crash frees them all.
type dedupStore struct{ queue *Queue }

// Dedup returns the dedup store in the queue's file: what it knows outlasts the process. It is removed with some later
// change of the file, a minute or more after its window has ended. There is one store per Queue, however often it is
// asked for. After Close its calls return ErrClosed.
func (q *Queue) Dedup() dedup.Store { return dedupStore{q} }

// leases are the claims in flight.
type leases struct {
	mu    sync.Mutex
	token int64
	byKey map[string]lease
	sweep time.Time // when those that have ended were last removed
}

type lease struct {
	token string
	ends  time.Time
	kept  bool // it is being committed, and lasts until that has succeeded or failed
}

func (l lease) over() bool { return !l.kept && !time.Now().Before(l.ends) }

// Claim implements dedup.Store.
func (s dedupStore) Claim(ctx context.Context, key string, d time.Duration) (dedup.Claim, error) {
	if err := dedup.ValidateCall(ctx, key, d); err != nil {
		return dedup.Claim{}, err
	}
	l := &s.queue.leases
	token, other := l.claim(key, d)
	if other > 0 {
		return dedup.Claim{State: dedup.InFlight, Remaining: other}, nil
	}
	// Nobody else looks for the key meanwhile.
	_, ends, done, err := s.queue.record(ctx, "look for a delivered key", kindDone, []byte(key))
	if err == nil && !done {
		return dedup.Claim{State: dedup.Acquired, Token: token}, nil
	}
	l.free(key, token)
	if err != nil {
		return dedup.Claim{}, err
	}
	return dedup.Claim{State: dedup.Done, Remaining: max(time.Duration(ends.UnixNano()-s.queue.durable.Now()), 1)}, nil
}

// Commit implements dedup.Store.
func (s dedupStore) Commit(ctx context.Context, key, token string, ttl time.Duration) error {
	if err := dedup.ValidateCall(ctx, key, ttl); err != nil {
		return err
	}
	l := &s.queue.leases
	if !l.keep(key, token, true) {
		return dedup.ErrLost
	}
	// Whatever ctx says then: a delivery that was made must not be made again for lack of time.
	err := s.queue.putRecord(context.WithoutCancel(ctx), "store a delivered key", kindDone, []byte(key), nil, ttl)
	if err != nil {
		l.keep(key, token, false)
		return err
	}
	l.free(key, token)
	return nil
}

// Release implements dedup.Store.
func (s dedupStore) Release(ctx context.Context, key, token string) error {
	if err := dedup.ValidateCall(ctx, key, 1); err != nil {
		return err
	}
	if !s.queue.leases.free(key, token) {
		return dedup.ErrLost
	}
	return nil
}

// claim makes a lease, or returns how long that of another lasts.
func (l *leases) claim(key string, d time.Duration) (token string, other time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.byKey == nil {
		l.byKey = map[string]lease{}
	}
	if now.Sub(l.sweep) > cleanEvery {
		l.sweep = now
		for k, v := range l.byKey {
			if v.over() {
				delete(l.byKey, k)
			}
		}
	}
	if held, ok := l.byKey[key]; ok && !held.over() {
		return "", max(held.ends.Sub(now), 1)
	}
	l.token++
	token = strconv.FormatInt(l.token, 10)
	l.byKey[key] = lease{token: token, ends: now.Add(d)}
	return token, 0
}

// keep marks a lease as being committed, or no longer so, and reports whether it is the token's.
func (l *leases) keep(key, token string, kept bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.byKey[key]
	if !ok || held.token != token || held.over() || held.kept && kept {
		return false
	}
	held.kept = kept
	l.byKey[key] = held
	return true
}

// free ends a lease and reports whether it was the token's.
func (l *leases) free(key, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.byKey[key]
	if !ok || held.token != token || held.over() {
		return false
	}
	delete(l.byKey, key)
	return true
}
