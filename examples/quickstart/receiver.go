package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
)

// receiver is a real HTTP server on loopback: somebody's chat, ticket system or pager.
type receiver struct {
	*httptest.Server
	answer func(attempt int) int // status to answer, by how often this event came; 0 = never answer

	mu      sync.Mutex
	got     []request
	changed chan struct{}
}

// request is what one POST said, and what it was answered.
type request struct {
	eventType, webhookID string
	status               int
}

func newReceiver(answer func(attempt int) int) *receiver {
	r := &receiver{answer: answer, changed: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	return r
}

// ServeHTTP notes the request, then answers it.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body struct {
		Type string `json:"event_type"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status := r.note(body.Type, req.Header.Get("webhook-id"))
	if status == 0 {
		<-req.Context().Done() // until the sender gives up
		return
	}
	w.WriteHeader(status)
}

func (r *receiver) note(eventType, webhookID string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	attempt := 1
	for _, q := range r.got {
		if q.webhookID == webhookID {
			attempt++
		}
	}
	status := r.answer(attempt)
	r.got = append(r.got, request{eventType, webhookID, status})
	close(r.changed)
	r.changed = make(chan struct{})
	return status
}

// requests returns what came so far.
func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// wait returns once n requests came.
func (r *receiver) wait(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		have, changed := len(r.got), r.changed
		r.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d requests came: %w", have, n, ctx.Err())
		}
	}
}

func always(status int) func(int) int { return func(int) int { return status } }

// recovers fails the first two attempts of each event.
func recovers(attempt int) int {
	if attempt <= 2 {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
