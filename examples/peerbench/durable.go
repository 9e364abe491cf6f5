package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/tocsin-go/tocsin/event"
)

// jobWorkers is how many jobs run at a time.
const jobWorkers = 160

// jobStore is a durable queue on SQLite: put returns once a job is on the disk; its handler calls done, once, and what
// follows is the queue's to store.
type jobStore struct {
	put   func(ctx context.Context, e event.Event) error
	close func() error
}

// jobStoreMaker opens one in a file.
type jobStoreMaker struct {
	name   string
	traits jobStoreTraits
	part   int
	open   func(path string, done func()) (jobStore, error)
}

// jobStoreTraits says what a queue does besides storing jobs.
type jobStoreTraits struct{ commits, limits, order, retries, dead, twice string }

func jobStoreTraitNames() []string {
	return []string{"commits", "limits", "order", "retries, later times", "dead letters", "the same job twice"}
}

func (t jobStoreTraits) list() []string {
	return []string{t.commits, t.limits, t.order, t.retries, t.dead, t.twice}
}

// durable is the contest of storing jobs so that they outlast a power cut, and running them.
func durable(amount int) contest {
	c := contest{
		name:  "durable",
		title: "Durable queue on SQLite",
		work: fmt.Sprintf("%d producers store jobs of 1 KiB, each waiting until its own is on the disk (synchronous=FULL), while %d "+
			"workers run and settle them.", sending, jobWorkers),
		unit: "job", amount: amount, warm: amount / 10, traits: jobStoreTraitNames(),
	}
	for _, m := range []jobStoreMaker{plainSQLite(), tocsinSQLite(), riverSQLite()} {
		c.entrants = append(c.entrants, entrant{name: m.name, traits: m.traits.list(), part: m.part, open: func(units int) (worker, error) {
			return openDurable(m, units)
		}})
	}
	return c
}

func openDurable(m jobStoreMaker, units int) (worker, error) {
	events, err := requests(units)
	if err != nil {
		return worker{}, err
	}
	folder, err := os.MkdirTemp("", "peerbench")
	if err != nil {
		return worker{}, err
	}
	var running sync.WaitGroup
	store, err := m.open(filepath.Join(folder, "queue.db"), running.Done)
	if err != nil {
		return worker{}, errors.Join(err, os.RemoveAll(folder))
	}
	return worker{
		do: func(n int) error {
			running.Add(n)
			mine := events[:n]
			events = events[n:]
			if err := inTurn(sender{send: store.put})(mine); err != nil {
				return err
			}
			running.Wait()
			return nil
		},
		close: func() error { return errors.Join(store.close(), os.RemoveAll(folder)) },
	}, nil
}
