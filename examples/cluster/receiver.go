package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// receiver is the product at the other end. It counts what arrives by the id that all attempts of a delivery share.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	times   map[string]int
	latest  time.Time
	longest time.Duration // between two arrivals
	changed chan struct{} // closed and made again with each arrival
}

func newReceiver() *receiver {
	r := &receiver{times: map[string]int{}, changed: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	return r
}

// work is how long the receiver takes for a request, so that there is always something under way.
const work = 20 * time.Millisecond

// ServeHTTP takes an event.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	<-time.After(work)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times[request.Header.Get("webhook-id")]++
	now := time.Now()
	if !r.latest.IsZero() {
		r.longest = max(r.longest, now.Sub(r.latest))
	}
	r.latest = now
	close(r.changed)
	r.changed = make(chan struct{})
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) arrived() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.times)
}

func (r *receiver) repeated() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, times := range r.times {
		if times > 1 {
			n++
		}
	}
	return n
}

func (r *receiver) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.longest
}

// wait waits until n different events have arrived.
func (r *receiver) wait(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		have, changed := len(r.times), r.changed
		r.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
