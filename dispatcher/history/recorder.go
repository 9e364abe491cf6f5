// Package history keeps what was tried: every attempt with its time, trigger, redacted request and response, duration
// and error, and every dead delivery, for people to look at and to deliver again.
//
//	store := history.NewMemory(0)
//	recorder, err := history.NewRecorder(store, history.Options{})
//	defer recorder.Close(context.Background())
//	observers := []dispatcher.Observer{recorder.Observer()}
//	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Observers: observers})
//
//	failed, err := store.Query(ctx, history.Query{
//		Tenant: tenant, Route: dispatcher.RouteID{Tenant: tenant, Name: "tickets"},
//		Outcomes: []dispatcher.Outcome{dispatcher.Failed},
//	})
//	err = failed[0].Redeliver(ctx, engine)
package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
)

const (
	maxBatch   = 256             // entries in one Append
	maxTries   = 10              // of one Append, before its entries are lost
	retryPause = time.Second     // between those
	prunePause = 5 * time.Minute // between removals by age
	lossPause  = time.Minute     // between two log lines about losses
)

// Recorder writes an Engine's attempts to a Store, from a goroutine of its own.
type Recorder struct {
	store   Store
	options Options

	mu      sync.Mutex
	closed  bool
	waiting *book         // for the store
	wake    chan struct{} // something waits, or it is closed

	storing chan struct{} // held while entries are between waiting and the store
	batch   []Entry       // those
	added   added         // since the last removal of old ones; the writer's

	lost       atomic.Int64
	logged     time.Time // when losses were last logged
	loggedLost int64     // how many were by then

	abort context.CancelFunc // ends what the writer is waiting for
	ended chan struct{}
}

// NewRecorder starts a Recorder, which Close ends. An error is a *channel.ConfigError, or several joined: of Options
// that contradict each other, or of a nil Store, or a nil pointer as one.
func NewRecorder(s Store, o Options) (*Recorder, error) {
	o = o.withDefaults()
	err := o.validate()
	if v := reflect.ValueOf(s); s == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		err = errors.Join(configError(channel.CodeMissing, "Store", "is nil", "pass one, for example history.NewMemory(0)"), err)
	}
	if err != nil {
		return nil, err
	}
	ctx, abort := context.WithCancel(context.Background())
	r := &Recorder{store: s, options: o, waiting: newBook(), wake: make(chan struct{}, 1), storing: make(chan struct{}, 1),
		abort: abort, ended: make(chan struct{})}
	go r.write(ctx)
	return r, nil
}

// Observer returns the functions that an Engine has to call.
func (r *Recorder) Observer() dispatcher.Observer {
	return dispatcher.Observer{Attempted: r.attempted, Settled: r.settled}
}

// Lost returns how many entries could not be kept so far, because the buffer was full or the store failed.
func (r *Recorder) Lost() int64 { return r.lost.Load() }

// Close stores what is in the buffer and ends the Recorder; later entries are lost. When ctx is done first, what is
// left is lost: a *LostError. Call it when the Engine has shut down. A second Close waits for the first.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.signal()
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
	}
	before := r.lost.Load()
	r.abort()
	<-r.ended
	if n := r.lost.Load() - before; n > 0 {
		return &LostError{Entries: n, Err: ctx.Err()}
	}
	return nil
}

// Remove removes a route's entries from the store, or a tenant's, as Store.Remove does, and before that those that wait
// for it. Call it when the Engine no longer has the routes (Engine.SetTenant): then nothing comes after.
func (r *Recorder) Remove(ctx context.Context, of dispatcher.RouteID) (int, error) {
	r.mu.Lock()
	n := r.waiting.removeAll(of)
	r.mu.Unlock()
	select {
	case r.storing <- struct{}{}: // what was on its way is there
		defer func() { <-r.storing }()
	case <-ctx.Done():
		return n, ctx.Err()
	}
	stored, err := r.store.Remove(ctx, of)
	return n + stored, err
}

// LostError says how many entries were not stored in time.
type LostError struct {
	Entries int64
	Err     error // why the wait ended
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%d entries of the history were not stored in time: %v", e.Entries, e.Err)
}

// Unwrap returns why the wait ended.
func (e *LostError) Unwrap() error { return e.Err }

func (r *Recorder) attempted(a dispatcher.Attempt) {
	e := Entry{
		Time: a.Began, Duration: a.Duration, Route: a.Delivery.Route, Event: a.Delivery.Event,
		Generation: a.Delivery.Generation, Attempt: a.Delivery.Attempt, Outcome: a.Outcome, Verdict: a.Verdict.String(), Next: a.Next,
		Status: a.Receipt.Status, ProviderID: valid(a.Receipt.ProviderID), OutcomeUnknown: a.Receipt.OutcomeUnknown,
		Request: r.capped(a.Receipt.Request), Response: r.capped(a.Receipt.Response),
	}
	if a.Err != nil {
		e.Error = valid(a.Err.Error())
	}
	r.enqueue(e)
}

func (r *Recorder) settled(s dispatcher.Settlement) {
	if s.Outcome != dispatcher.Dead {
		return // its last attempt says it
	}
	e := Entry{
		Time: time.Now(), Route: s.Delivery.Route, Event: s.Delivery.Event, Generation: s.Delivery.Generation,
		Attempt: s.Delivery.Attempt, Outcome: dispatcher.Dead, Reason: valid(s.Reason),
	}
	if s.Err != nil {
		e.Error = valid(s.Err.Error())
	}
	r.enqueue(e)
}

// valid returns text as every store can keep it.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// capped returns m with no more of its body than is to be kept.
func (r *Recorder) capped(m *channel.Message) *channel.Message {
	keep := max(r.options.MaxBody, 0)
	if m == nil || len(m.Body) <= keep {
		return m
	}
	shorter := *m
	shorter.Body, shorter.Truncated = bytes.Clone(m.Body[:keep]), true // a copy, so that the rest can go
	return &shorter
}

func (r *Recorder) enqueue(e Entry) {
	e.Time = e.Time.UTC()
	r.mu.Lock()
	lost := 1
	if !r.closed {
		r.waiting.add(e)
		lost = r.waiting.limit(r.options.Buffer)
	}
	r.mu.Unlock()
	r.lost.Add(int64(lost))
	r.signal()
}

// signal makes the writer look what there is to do.
func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// write stores what waits until the Recorder is closed and nothing does.
func (r *Recorder) write(ctx context.Context) {
	defer close(r.ended)
	defer r.abort()
	tick := time.NewTicker(prunePause)
	defer tick.Stop()
	r.prune(ctx, true)
	for over := false; !over; {
		select {
		case <-r.wake:
		case <-tick.C:
			r.prune(ctx, true)
		}
		for r.storeBatch(ctx) {
			if r.added.full {
				r.prune(ctx, false)
			}
			r.report()
		}
		r.mu.Lock()
		over = r.closed && r.waiting.all.len() == 0
		r.mu.Unlock()
	}
}

// storeBatch stores the next entries that wait, and reports whether there were any.
func (r *Recorder) storeBatch(ctx context.Context) bool {
	select {
	case r.storing <- struct{}{}:
		defer func() { <-r.storing }()
	case <-ctx.Done(): // what waits is lost
	}
	batch := r.batch[:0]
	r.mu.Lock()
	for len(batch) < maxBatch && r.waiting.all.len() > 0 {
		next := r.waiting.all.oldest()
		r.added.count(&r.options, next.Route.Tenant, next.size)
		batch = append(batch, r.waiting.remove(next))
	}
	r.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	r.append(ctx, batch)
	clear(batch)
	r.batch = batch
	return true
}

// append stores a batch, or gives it up after a while.
func (r *Recorder) append(ctx context.Context, batch []Entry) {
	var err error
	for range maxTries {
		if err = r.store.Append(ctx, batch...); err == nil {
			return
		}
		r.report()
		if !pause(ctx, retryPause) {
			break
		}
	}
	r.lost.Add(int64(len(batch)))
	r.options.Logger.Warn("tocsin: the history cannot be stored", dispatcher.AttrLost, r.lost.Load(), dispatcher.AttrError, err)
}

// pause reports whether d has passed before ctx was done.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// prune removes what is not to be kept. By age it does so only now and then, because a store may look at each entry.
func (r *Recorder) prune(ctx context.Context, byAge bool) {
	r.added = added{}
	o := &r.options
	keep := Retention{Entries: o.Entries, TenantEntries: o.TenantEntries, TenantBytes: o.TenantBytes}
	if byAge && o.MaxAge > 0 {
		keep.Before = time.Now().Add(-o.MaxAge)
	}
	if _, err := r.store.Prune(ctx, keep); err != nil && ctx.Err() == nil {
		o.Logger.Warn("tocsin: old history cannot be removed", dispatcher.AttrError, err)
	}
}

// report logs losses, at most once a minute.
func (r *Recorder) report() {
	lost := r.lost.Load()
	if now := time.Now(); lost > r.loggedLost && now.Sub(r.logged) >= lossPause {
		r.logged, r.loggedLost = now, lost
		r.options.Logger.Warn("tocsin: the history loses entries", dispatcher.AttrLost, lost)
	}
}
