package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
)

// receiver is somebody's webhook endpoint, which counts.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	events  map[string]int // how often each event came
	changed chan struct{}
}

func newReceiver() *receiver {
	r := &receiver{events: map[string]int{}, changed: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	return r
}

// ServeHTTP notes a request.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[body.ID]++
	close(r.changed)
	r.changed = make(chan struct{})
}

// wait returns once so many different events came.
func (r *receiver) wait(ctx context.Context, events int) error {
	for {
		r.mu.Lock()
		have, changed := len(r.events), r.changed
		r.mu.Unlock()
		if have >= events {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("only %d events came: %w", have, ctx.Err())
		}
	}
}

// compare returns how many different events came, how many of them are not among these, and how many came more than
// once.
func (r *receiver) compare(committed map[string]bool) (events, stray, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range r.events {
		if !committed[id] {
			stray++
		}
		if n > 1 {
			twice++
		}
	}
	return len(r.events), stray, twice
}
