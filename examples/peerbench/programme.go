package main

import (
	"errors"
	"regexp"
	"time"
)

// programme is how much of everything is done.
type programme struct {
	rounds     int
	deliveries int // in process
	requests   int // over HTTP
	events     int // while a receiver hangs
	hangs      int // rounds of that, which take as long as its events are spread over
	checks     int
	retries    int
	lead       time.Duration // in which they are made pending
	jobs       int           // in the longest backlog
	bodies     int
	stored     int // jobs in a file
}

// short is a first look.
func short() programme {
	return programme{
		rounds: 2, deliveries: 50_000, requests: 1_000, events: 300, hangs: 1, checks: 40_000, retries: 20_000, lead: time.Second,
		jobs: 20_000, bodies: 2_000, stored: 2_000,
	}
}

// thorough is for figures to quote.
func thorough() programme {
	return programme{
		rounds: 5, deliveries: 1_000_000, requests: 20_000, events: 5_000, hangs: 3, checks: 1_111_104, retries: 1_000_000,
		lead: 10 * time.Second, jobs: 1_000_000, bodies: 50_000, stored: 50_000,
	}
}

func (p programme) contests() []contest {
	return []contest{
		fanOut(p.deliveries), growth(p.deliveries), backlog(p.jobs), isolation(p.events), undisturbed(p.deliveries / receivers),
		delivery(p.requests), durable(p.stored), duplicates(p.checks), pendingRetries(p.retries, p.lead), signing(p.bodies),
		encoding(p.bodies), rendering(p.bodies),
	}
}

var errNoContest = errors.New("no contest has such a name")

// compete runs the contests whose name matches, with those entrants whose name matches and the first.
func compete(p programme, names, entrants *regexp.Regexp, progress func(string)) ([]outcome, error) {
	var all []outcome
	for _, c := range p.contests() {
		if !names.MatchString(c.name) {
			continue
		}
		chosen := c.entrants[:1:1]
		for _, e := range c.entrants[1:] {
			if entrants.MatchString(e.name) {
				chosen = append(chosen, e)
			}
		}
		c.entrants = chosen
		rounds := p.rounds
		if c.costless {
			rounds = p.hangs
		}
		o, err := c.run(rounds, progress)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		return nil, errNoContest
	}
	return all, nil
}
