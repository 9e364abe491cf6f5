// Peerbench measures Tocsin beside the libraries somebody might choose instead, and beside the least that could do the
// work, all in one run and in turns, and prints tables.
//
//	go run .                     a first look, less than a minute
//	go run . -full               the figures to quote, a quarter of an hour
//	go run . -only 'http|dedup'  contests whose name matches
//	go run . -only http -who engine -profile cpu.out
//	                             where the time of one entrant goes, for go tool pprof
//	go run . -full -results results -readme ../../README.md
//	                             what this repository shows: tables, JSON, a chart, and the README's section
//
// Costs are processor time of this process, by getrusage; where there is a receiver, it runs in a process of its own.
// Compare ratios of one run: times depend on the machine and on what else it does. It is a module of its own, outside
// the workspace, because nobody else needs all these libraries. It needs a Unix system.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	full := flag.Bool("full", false, "more of everything: the figures to quote")
	only := flag.String("only", "", "a regular expression: which contests")
	who := flag.String("who", "", "a regular expression: which entrants, besides the first of each contest")
	profile := flag.String("profile", "", "write a profile of the processor to this file; with -who, of one entrant and the first")
	results := flag.String("results", "", "also write all tables, the figures as JSON and a chart into this folder")
	readme := flag.String("readme", "", "also rewrite the part of this file that is between the lines "+sectionBegin+" and "+sectionEnd)
	flag.Parse()
	if os.Getenv(roleVariable) == receiverRole {
		if err := receive(os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	names, err := regexp.Compile(*only)
	if err != nil {
		log.Fatalf("-only: %v", err)
	}
	entrants, err := regexp.Compile(*who)
	if err != nil {
		log.Fatalf("-who: %v", err)
	}
	amounts := short()
	if *full {
		amounts = thorough()
	}
	stop, err := startProfile(*profile)
	if err != nil {
		log.Fatal(err)
	}
	r := report{Command: strings.Join(append([]string{"go run ."}, os.Args[1:]...), " "), Machine: thisMachine()}
	r.Contests, err = compete(amounts, names, entrants, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err := errors.Join(err, stop()); err != nil {
		log.Fatal(err)
	}
	r.Targets = judge(amounts, r.Contests)
	r.summary(os.Stdout)
	if *results != "" {
		if err := r.save(*results); err != nil {
			log.Fatal(err)
		}
	}
	if *readme != "" {
		if err := r.rewrite(*readme); err != nil {
			log.Fatal(err)
		}
	}
}

// startProfile begins a profile of the processor and returns what ends it. Without a name there is none.
func startProfile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// size is how much of everything is done.
type size struct {
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
func short() size {
	return size{
		rounds: 2, deliveries: 50_000, requests: 1_000, events: 300, hangs: 1, checks: 40_000, retries: 20_000, lead: time.Second,
		jobs: 20_000, bodies: 2_000, stored: 2_000,
	}
}

// thorough is for figures to quote.
func thorough() size {
	return size{
		rounds: 5, deliveries: 1_000_000, requests: 20_000, events: 5_000, hangs: 3, checks: 1_111_104, retries: 1_000_000,
		lead: 10 * time.Second, jobs: 1_000_000, bodies: 50_000, stored: 50_000,
	}
}

func (s size) contests() []contest {
	return []contest{
		fanOut(s.deliveries), growth(s.deliveries), backlog(s.jobs), isolation(s.events), hangs(s.deliveries / receivers),
		delivery(s.requests), durable(s.stored), duplicates(s.checks), pendingRetries(s.retries, s.lead), signing(s.bodies),
		encoding(s.bodies), rendering(s.bodies),
	}
}

var errNoContest = errors.New("no contest has such a name")

// compete runs the contests whose name matches, with those entrants whose name matches and the first.
func compete(s size, names, entrants *regexp.Regexp, progress func(string)) ([]outcome, error) {
	var all []outcome
	for _, c := range s.contests() {
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
		rounds := s.rounds
		if c.costless {
			rounds = s.hangs
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
