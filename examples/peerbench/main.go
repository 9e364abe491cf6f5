// Peerbench measures Tocsin beside the libraries somebody might choose instead, and beside the least that could do the
// work, all in one run and in turns, and prints Markdown tables.
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
)

func main() {
	full := flag.Bool("full", false, "more of everything: the figures to quote")
	only := flag.String("only", "", "a regular expression: which contests")
	who := flag.String("who", "", "a regular expression: which entrants, besides the first of each contest")
	profile := flag.String("profile", "", "write a profile of the processor to this file; with -who, of one entrant and the first")
	results := flag.String("results", "", "also write tables, figures as JSON and a chart into this folder")
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
	size := short()
	if *full {
		size = thorough()
	}
	stop, err := startProfile(*profile)
	if err != nil {
		log.Fatal(err)
	}
	r := report{Command: strings.Join(append([]string{"go run ."}, os.Args[1:]...), " "), Machine: thisMachine()}
	r.Contests, err = compete(size, names, entrants, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err := errors.Join(err, stop()); err != nil {
		log.Fatal(err)
	}
	r.Targets = judge(size, r.Contests)
	r.markdown(os.Stdout)
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
