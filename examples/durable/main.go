// Durable shows that nothing acknowledged is lost: a product dispatches 10,000 events to a webhook through a queue in a
// file, is killed with -9 in the middle of it, and is started again. The receiver counts what arrives, and what arrives
// twice. The program is the receiver and, started by itself, the product.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
)

// total is how many events the product dispatches.
const total = 10_000

func main() {
	if isProduct() {
		if err := product(context.Background()); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout, total); err != nil {
		log.Fatal(err)
	}
}

// result is what a run has shown.
type result struct {
	requests      int // that the receiver got in all
	arrived       int // different events
	twice         int // events that came more than once
	most          int // how often one came, at most
	acknowledged  int // events whose Dispatch had returned when the product was killed
	beforeKill    int // requests the receiver had got by then
	reminders     int // that arrived, of two scheduled before the kill; one was cancelled after it
	cancelled     bool
	recovery      time.Duration // from starting the product again to its first request
	shutdownClean bool
}

// count notes what the receiver got.
func (r *result) count(requests []webhooktest.Request) {
	events, reminders := map[string]int{}, map[string]int{} // how often each webhook-id came
	for _, request := range requests {
		ids := events
		if bytes.Contains(request.Body, []byte(`"grant.expiring_soon"`)) {
			ids = reminders
		}
		ids[request.Header.Get("webhook-id")]++
	}
	r.requests, r.arrived, r.reminders, r.twice = len(requests), len(events), len(reminders), 0
	for _, n := range events {
		r.most = max(r.most, n)
		if n > 1 {
			r.twice++
		}
	}
}

// run runs the scenario, printing to out.
func run(ctx context.Context, out io.Writer, events int) (r result, err error) {
	folder, err := os.MkdirTemp("", "durable")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(folder)
	rec, err := webhooktest.New(webhooktest.Options{})
	if err != nil {
		return r, err
	}
	defer rec.Close()
	p := plan{URL: rec.URL, File: filepath.Join(folder, "queue.db"), Events: events}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}

	say("The product starts. It dispatches %d events and schedules two reminders.", events)
	first, err := start(ctx, p)
	if err != nil {
		return r, err
	}
	defer first.kill()
	if err := rec.Wait(first.alive, events/3); err != nil {
		return r, errors.Join(err, first.finish())
	}
	first.kill()
	r.acknowledged, r.beforeKill = first.acknowledged(), len(rec.Requests())
	say("kill -9: %d events were acknowledged, %d requests had arrived; the rest is in the file.", r.acknowledged, r.beforeKill)

	// The product's own records say which Dispatch returned; the one under way is simply made again.
	p.From, p.Again = r.acknowledged, true
	restarted := time.Now()
	second, err := start(ctx, p)
	if err != nil {
		return r, err
	}
	defer second.kill()
	if err := rec.Wait(second.alive, r.beforeKill+1); err != nil {
		return r, errors.Join(err, second.finish())
	}
	r.recovery = time.Since(restarted)
	say("It is started again. The first request arrives %d ms later, the start included.", r.recovery.Milliseconds())
	for want := events + 1; r.arrived < events || r.reminders == 0; want = r.requests + 1 {
		if err := rec.Wait(second.alive, want); err != nil {
			return r, errors.Join(err, second.finish())
		}
		r.count(rec.Requests())
	}
	say("Everything has arrived. The product is asked to shut down.")
	if err := second.finish(); err != nil {
		return r, err
	}
	said := second.said.String()
	r.cancelled, r.shutdownClean = strings.Contains(said, "cancelled\n"), strings.Contains(said, "nothing left\n")
	r.count(rec.Requests())
	say("It has, with nothing left.")
	fmt.Fprintf(out, `
  events dispatched             %6d
  events that arrived           %6d
  of those more than once       %6d   (in flight when it was killed; same webhook-id)
  reminders scheduled before         2
  reminders that arrived        %6d   (the other one was cancelled after the restart)
  recovery                      %6d ms
`, events, r.arrived, r.twice, r.reminders, r.recovery.Milliseconds())
	if r.arrived != events {
		return r, fmt.Errorf("%d of %d events arrived", r.arrived, events)
	}
	return r, nil
}
