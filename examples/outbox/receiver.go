package main

import (
	"context"
	"encoding/json"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
)

// arrivals counts how often each event came.
func arrivals(rec *webhooktest.Server) (map[string]int, error) {
	times := map[string]int{}
	for _, request := range rec.Requests() {
		var event struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(request.Body, &event); err != nil {
			return nil, err
		}
		times[event.ID]++
	}
	return times, nil
}

// waitForEvents returns once so many different events came.
func waitForEvents(ctx context.Context, rec *webhooktest.Server, n int) error {
	for requests := n; ; requests++ { // more of them than events if some came twice
		if err := rec.Wait(ctx, requests); err != nil {
			return err
		}
		if times, err := arrivals(rec); err != nil || len(times) >= n {
			return err
		}
	}
}

// compare notes what came, and what of it has no grant.
func (r *result) compare(times map[string]int, committed map[string]bool) {
	r.arrived = len(times)
	for id, n := range times {
		if !committed[id] {
			r.stray++
		}
		if n > 1 {
			r.twice++
		}
	}
}
