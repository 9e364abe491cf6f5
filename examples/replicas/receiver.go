package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// receiver is what all routes lead to. It counts by the id that all attempts of a delivery share.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	times   map[string]int
	owner   map[string]string // replicas by route
	latest  map[string]time.Time
	pause   time.Duration
	changed chan struct{}
}

func newReceiver() *receiver {
	r := &receiver{
		times: map[string]int{}, owner: map[string]string{}, latest: map[string]time.Time{}, changed: make(chan struct{}),
	}
	r.Server = httptest.NewServer(r)
	return r
}

// work is how long the receiver takes for a request, so that there is always something under way.
const work = 10 * time.Millisecond

// ServeHTTP notes a request.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	<-time.After(work)
	r.mu.Lock()
	defer r.mu.Unlock()
	route, now := req.Header.Get("X-Route"), time.Now()
	r.times[req.Header.Get("webhook-id")]++
	if latest, ok := r.latest[route]; ok {
		r.pause = max(r.pause, now.Sub(latest))
	}
	r.owner[route], r.latest[route] = req.Header.Get("X-Replica"), now
	close(r.changed)
	r.changed = make(chan struct{})
	w.WriteHeader(http.StatusNoContent)
}

// owners are the replicas that have delivered last, by route.
func (r *receiver) owners() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, name := range routeNames() {
		all = append(all, fmt.Sprintf("%-5s", r.owner[name]))
	}
	return strings.TrimRight(strings.Join(all, " "), " ")
}

func (r *receiver) arrived() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.times)
}

// wait returns once so many different deliveries have arrived.
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
			return fmt.Errorf("only %d deliveries arrived: %w", have, ctx.Err())
		}
	}
}

func (r *receiver) result() result {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := result{arrived: len(r.times), pause: r.pause}
	for _, n := range r.times {
		if n > 1 {
			res.twice++
		}
	}
	return res
}
