// Package history keeps what was tried: every attempt with its time, trigger, redacted request and response, duration
// and error, and every dead delivery, for people to look at and to deliver again.
//
//	store := history.NewMemory(0)
//	recorder, err := history.NewRecorder(store, history.Options{})
//	defer recorder.Close(context.Background())
//	engine, err := dispatcher.New(dispatcher.Config{Routes: routes, Observers: []dispatcher.Observer{recorder.Observer()}})
//
//	failed, err := store.Query(ctx, history.Query{
//		Tenant: tenant, Route: "tickets", Outcomes: []dispatcher.Outcome{dispatcher.Failed},
//	})
//	err = failed[0].Redeliver(ctx, engine)
package history

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher"
)

// Options configure a Recorder. The zero value is ready for use.
type Options struct {
	// Buffer is how many entries may wait for the store; 0 = 4,096. What comes when it is full is lost and counted:
	// deliveries never wait for their history.
	Buffer  int
	MaxAge  time.Duration // older entries are removed; 0 = 30 days, negative = never
	Entries int           // the oldest beyond this many are removed; 0 = 100,000, negative = none
	MaxBody int           // most bytes kept of a body; 0 = 16 KiB, negative = no bodies
	Logger  *slog.Logger  // of losses; nil = slog.Default
}

func (o Options) withDefaults() Options {
	if o.Buffer <= 0 {
		o.Buffer = 4096
	}
	if o.MaxAge == 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	if o.Entries == 0 {
		o.Entries = 100_000
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

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

	mu     sync.RWMutex // held for reading to put into the buffer, for writing to close it
	closed bool
	buffer chan Entry

	lost       atomic.Int64
	logged     time.Time // when losses were last logged
	loggedLost int64     // how many were by then

	abort context.CancelFunc // ends what the writer is waiting for
	ended chan struct{}
}

// NewRecorder starts a Recorder, which Close ends. A nil Store, or a nil pointer as one, is a *channel.ConfigError.
func NewRecorder(s Store, o Options) (*Recorder, error) {
	if v := reflect.ValueOf(s); s == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, &channel.ConfigError{Package: "history", Path: "Store", Code: channel.CodeMissing, Problem: "is nil",
			Remedy: "pass one, for example history.NewMemory(0)"}
	}
	o = o.withDefaults()
	ctx, abort := context.WithCancel(context.Background())
	r := &Recorder{store: s, options: o, buffer: make(chan Entry, o.Buffer), abort: abort, ended: make(chan struct{})}
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
	if !r.closed {
		r.closed = true
		close(r.buffer)
	}
	r.mu.Unlock()
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
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.closed {
		select {
		case r.buffer <- e:
			return
		default:
		}
	}
	r.lost.Add(1)
}

// write stores batches until the buffer is closed and empty.
func (r *Recorder) write(ctx context.Context) {
	defer close(r.ended)
	defer r.abort()
	prune := time.NewTicker(prunePause)
	defer prune.Stop()
	r.prune(ctx)
	unpruned := 0
	for batch := make([]Entry, 0, maxBatch); ; batch = batch[:0] {
		select {
		case e, open := <-r.buffer:
			if !open {
				r.report()
				return
			}
			batch = r.gather(append(batch, e))
			r.append(ctx, batch)
			unpruned += len(batch)
			clear(batch)
		case <-prune.C:
			unpruned = r.options.Entries
		}
		r.report()
		if r.options.Entries > 0 && unpruned >= max(r.options.Entries/10, 1) || unpruned == r.options.Entries {
			r.prune(ctx)
			unpruned = 0
		}
	}
}

// gather adds what waits, as far as one batch goes.
func (r *Recorder) gather(batch []Entry) []Entry {
	for len(batch) < maxBatch {
		select {
		case e, open := <-r.buffer:
			if !open {
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
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

func (r *Recorder) prune(ctx context.Context) {
	var before time.Time
	if r.options.MaxAge > 0 {
		before = time.Now().Add(-r.options.MaxAge)
	}
	if _, err := r.store.Prune(ctx, before, r.options.Entries); err != nil && ctx.Err() == nil {
		r.options.Logger.Warn("tocsin: old history cannot be removed", dispatcher.AttrError, err)
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
