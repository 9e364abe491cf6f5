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

	mu        sync.Mutex
	events    map[string]int // how often each webhook-id came
	reminders map[string]bool
	all       int
	changed   chan struct{}
}

func newReceiver() *receiver {
	r := &receiver{events: map[string]int{}, reminders: map[string]bool{}, changed: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	return r
}

// ServeHTTP notes a request.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body struct {
		Type string `json:"event_type"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := req.Header.Get("webhook-id")
	if body.Type == "grant.expiring_soon" {
		r.reminders[id] = true
	} else {
		r.events[id]++
		r.all++
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *receiver) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// count returns how many different events came, how many of them more than once, how often one at most, and how many
// reminders.
func (r *receiver) count() (events, twice, most, reminders int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.events {
		if n > 1 {
			twice++
		}
		most = max(most, n)
	}
	return len(r.events), twice, most, len(r.reminders)
}

// wait returns once n requests came and, of those, so many different events, and so many reminders.
func (r *receiver) wait(ctx context.Context, requests, events, reminders int) error {
	for {
		r.mu.Lock()
		ok := r.all >= requests && len(r.events) >= events && len(r.reminders) >= reminders
		have, changed := r.all, r.changed
		r.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("only %d requests came: %w", have, ctx.Err())
		}
	}
}
