package dedup

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	errWork  = errors.New("receiver says no")
	errStore = errors.New("store says no")
)

// faulty is a Memory whose calls can be made to fail or to hang until their context is done.
type faulty struct {
	*Memory
	fail  string
	hang  string
	state State // answered by Claim, if set
}

func (s *faulty) fault(ctx context.Context, op string) error {
	if op == s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if op == s.fail {
		return errStore
	}
	return nil
}

func (s *faulty) Claim(ctx context.Context, key string, lease time.Duration) (Claim, error) {
	if err := s.fault(ctx, opClaim); err != nil {
		return Claim{}, err
	}
	if s.state != 0 {
		return Claim{State: s.state}, nil
	}
	return s.Memory.Claim(ctx, key, lease)
}

func (s *faulty) Commit(ctx context.Context, key, token string, ttl time.Duration) error {
	if err := s.fault(ctx, opCommit); err != nil {
		return err
	}
	return s.Memory.Commit(ctx, key, token, ttl)
}

func (s *faulty) Release(ctx context.Context, key, token string) error {
	if err := s.fault(ctx, opRelease); err != nil {
		return err
	}
	return s.Memory.Release(ctx, key, token)
}

func succeed(context.Context) error  { return nil }
func failWork(context.Context) error { return errWork }

func mustNotRun(t *testing.T) func(context.Context) error {
	return func(context.Context) error {
		assert.Fail(t, "f ran")
		return nil
	}
}

func TestOnceSkipsWithinTheWindow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ set, want time.Duration }{{0, 2 * time.Hour}, {time.Minute, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(MemoryOptions{})
			o := Options{Window: tt.set}
			runs := 0
			f := func(context.Context) error { runs++; return nil }
			once := func() bool {
				skipped, err := Once(t.Context(), m, "key", o, f)
				require.NoError(t, err)
				return skipped
			}
			assert.False(t, once())
			assert.True(t, once())
			pass(tt.want - time.Nanosecond)
			assert.True(t, once())
			pass(time.Nanosecond)
			assert.False(t, once())
			assert.Equal(t, 2, runs)
		})
	}
}

// TestOnceFailureSuppressesNothing: neither the retry of what failed nor a later identical message.
func TestOnceFailureSuppressesNothing(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryOptions{})
	for range 3 {
		skipped, err := Once(t.Context(), m, "key", Options{}, failWork)
		assert.False(t, skipped)
		assert.Same(t, errWork, err, "f's error must come back as it is")
	}
	skipped, err := Once(t.Context(), m, "key", Options{}, succeed)
	assert.NoError(t, err)
	assert.False(t, skipped)
}

func TestOnceInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{})
		skipped, err := Once(t.Context(), m, "secret", Options{}, func(ctx context.Context) error {
			pass(20 * time.Second)
			skipped, err := Once(ctx, m, "secret", Options{}, mustNotRun(t))
			assert.False(t, skipped)
			var inFlight *InFlightError
			require.ErrorAs(t, err, &inFlight)
			assert.Equal(t, defaultLease-20*time.Second, inFlight.Remaining)
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "secret")
			return nil
		})
		assert.NoError(t, err)
		assert.False(t, skipped)
	})
}

func TestOnceReleasesWhenFDoesNotReturn(t *testing.T) {
	t.Parallel()
	m := NewMemory(MemoryOptions{})

	assert.PanicsWithValue(t, "boom", func() {
		_, _ = Once(t.Context(), m, "panics", Options{}, func(context.Context) error { panic("boom") })
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = Once(t.Context(), m, "exits", Options{}, func(context.Context) error { runtime.Goexit(); return nil })
	}()
	<-ended

	for _, key := range []string{"panics", "exits"} {
		assert.Equal(t, State(0), state(t, m, key), "%s: the key must be free", key)
	}
}

// TestOnceSettlesAfterCancellation: a shutdown during f must not leave the key in flight, nor a success unrecorded.
func TestOnceSettlesAfterCancellation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want State
	}{"success": {nil, Done}, "failure": {errWork, 0}} {
		t.Run(name, func(t *testing.T) {
			m := NewMemory(MemoryOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Once(ctx, m, "key", Options{}, func(context.Context) error {
				cancel()
				return tt.err
			})
			assert.Equal(t, tt.err, err)
			assert.Equal(t, tt.want, state(t, m, "key"))
		})
	}
}

func TestOnceWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		store      faulty
		key        string
		failClosed bool
		f          func(context.Context) error
		runs       int
		err        error // errors.Is
		returned   bool  // the store's failure is the error; else it goes to OnStoreError
		op         string
		cause      error
	}{
		"claim":                       {store: faulty{fail: opClaim}, f: succeed, runs: 1, op: opClaim, cause: errStore},
		"claim, and f fails":          {store: faulty{fail: opClaim}, f: failWork, runs: 1, err: errWork, op: opClaim, cause: errStore},
		"claim, closed":               {store: faulty{fail: opClaim}, failClosed: true, f: succeed, err: errStore, returned: true, op: opClaim, cause: errStore},
		"commit":                      {store: faulty{fail: opCommit}, f: succeed, runs: 1, op: opCommit, cause: errStore},
		"commit, closed":              {store: faulty{fail: opCommit}, failClosed: true, f: succeed, runs: 1, op: opCommit, cause: errStore},
		"release":                     {store: faulty{fail: opRelease}, f: failWork, runs: 1, err: errWork, op: opRelease, cause: errStore},
		"unknown state":               {store: faulty{state: 7}, f: succeed, runs: 1, op: opClaim},
		"unknown state, closed":       {store: faulty{state: 7}, failClosed: true, f: succeed, returned: true, op: opClaim},
		"no key":                      {key: "-", f: succeed, runs: 1, op: opClaim, cause: ErrEmptyKey},
		"no key, closed":              {key: "-", failClosed: true, f: succeed, returned: true, err: ErrEmptyKey, op: opClaim, cause: ErrEmptyKey},
		"store full of claims":        {key: "other", f: succeed, runs: 1, op: opClaim, cause: ErrFull},
		"store full, closed":          {key: "other", failClosed: true, f: succeed, returned: true, err: ErrFull, op: opClaim, cause: ErrFull},
		"f takes longer than a lease": {f: func(context.Context) error { pass(2 * time.Minute); return nil }, runs: 1, op: opCommit, cause: ErrLost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tt.store
				s.Memory = NewMemory(MemoryOptions{MaxKeys: 1})
				key := "key"
				switch tt.key {
				case "-":
					key = ""
				case "other":
					acquire(t, s.Memory, "key", time.Hour)
					key = "other"
				}
				var reported []*StoreError
				o := Options{FailClosed: tt.failClosed, OnStoreError: func(e *StoreError) { reported = append(reported, e) }}
				runs := 0
				skipped, err := Once(t.Context(), &s, key, o, func(ctx context.Context) error { runs++; return tt.f(ctx) })

				assert.False(t, skipped)
				assert.Equal(t, tt.runs, runs)
				var failure *StoreError
				if tt.returned {
					require.ErrorAs(t, err, &failure)
					assert.Empty(t, reported)
				} else {
					require.Len(t, reported, 1)
					failure = reported[0]
				}
				if tt.err != nil || !tt.returned {
					assert.ErrorIs(t, err, tt.err)
				}
				assert.Equal(t, tt.op, failure.Op)
				assert.Contains(t, failure.Error(), tt.op)
				if tt.cause != nil {
					assert.ErrorIs(t, failure, tt.cause)
				}
			})
		})
	}
}

// TestOnceNeedsNoHook: without OnStoreError the outcomes are the same.
func TestOnceNeedsNoHook(t *testing.T) {
	t.Parallel()
	for _, op := range []string{opClaim, opCommit} {
		_, err := Once(t.Context(), &faulty{Memory: NewMemory(MemoryOptions{}), fail: op}, "key", Options{}, succeed)
		assert.NoError(t, err, op)
	}
}

func TestOnceDoesNotStartWhenCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{OnStoreError: func(e *StoreError) { assert.Fail(t, "reported of a failure that is returned", e) }}
	skipped, err := Once(ctx, NewMemory(MemoryOptions{}), "key", o, mustNotRun(t))
	assert.False(t, skipped)
	var failure *StoreError
	require.ErrorAs(t, err, &failure)
	assert.ErrorIs(t, err, context.Canceled)
}

// TestOnceOutlivesAHangingStore: the message is delivered, and within ctx's deadline.
func TestOnceOutlivesAHangingStore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hang     string
		deadline time.Duration
		f        func(context.Context) error
		pause    time.Duration
	}{
		"claim":                {opClaim, 0, succeed, 5 * time.Second},
		"claim, long deadline": {opClaim, time.Hour, succeed, 5 * time.Second},
		"claim, deadline":      {opClaim, 8 * time.Second, succeed, 2 * time.Second},
		"commit":               {opCommit, 0, succeed, 5 * time.Second},
		"release":              {opRelease, 0, failWork, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				began := time.Now()
				ran := false
				var reported *StoreError
				_, err := Once(ctx, &faulty{Memory: NewMemory(MemoryOptions{}), hang: tt.hang}, "key",
					Options{OnStoreError: func(e *StoreError) { reported = e }},
					func(ctx context.Context) error {
						ran = true
						assert.NoError(t, ctx.Err())
						return tt.f(ctx)
					})
				assert.Equal(t, tt.f(ctx), err)
				assert.True(t, ran)
				assert.Equal(t, tt.pause, time.Since(began))
				require.NotNil(t, reported)
				assert.Equal(t, tt.hang, reported.Op)
				assert.ErrorIs(t, reported, context.DeadlineExceeded)
			})
		})
	}
}

func TestOnceRefusesNegativeOptions(t *testing.T) {
	t.Parallel()
	for field, o := range map[string]Options{"Window": {Window: -1}, "Lease": {Lease: -time.Second}} {
		_, err := Once(t.Context(), NewMemory(MemoryOptions{}), "key", o, mustNotRun(t))
		var bad *OptionError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Field)
		assert.Contains(t, err.Error(), field)
	}
}

// TestOnceConcurrently: of many goroutines with one key, one does the work and the others are skipped or in flight.
func TestOnceConcurrently(t *testing.T) {
	t.Parallel()
	const goroutines, keys = 32, 100
	m := NewMemory(MemoryOptions{})
	var runs [keys]atomic.Int32
	var wrong atomic.Int32
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for k := range keys {
				ran := false
				skipped, err := Once(t.Context(), m, fmt.Sprint(k), Options{}, func(context.Context) error {
					ran = true
					runs[k].Add(1)
					runtime.Gosched()
					return nil
				})
				var inFlight *InFlightError
				if outcomes := count(ran && err == nil, skipped && err == nil, errors.As(err, &inFlight)); outcomes != 1 {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, wrong.Load())
	for k := range keys {
		assert.EqualValues(t, 1, runs[k].Load())
	}
}

func count(outcomes ...bool) int {
	n := 0
	for _, o := range outcomes {
		if o {
			n++
		}
	}
	return n
}

func TestStateString(t *testing.T) {
	t.Parallel()
	for s, want := range map[State]string{Acquired: "acquired", InFlight: "in flight", Done: "done", 0: "unknown state 0"} {
		assert.Equal(t, want, s.String())
	}
}
