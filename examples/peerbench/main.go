// Peerbench measures Tocsin beside the libraries somebody might choose instead, and beside the least that could do the work,
// all in one run and in turns, and prints Markdown tables.
//
//	go run .                     a first look, less than a minute
//	go run . -full               the figures to quote, half an hour
//	go run . -only 'http|dedup'  contests whose name matches
//
// Costs are processor time of this process, by getrusage; where there is a receiver, it runs in a process of its own. Compare
// ratios of one run: times depend on the machine and on what else it does. It is a module of its own, outside the workspace,
// because nobody else needs all these libraries. It needs a Unix system.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
)

func main() {
	full := flag.Bool("full", false, "more of everything: the figures to quote")
	only := flag.String("only", "", "a regular expression: which contests")
	file := flag.String("json", "", "also write the figures to this file")
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
	size := short()
	if *full {
		size = thorough()
	}
	r := report{Command: strings.Join(append([]string{"go run ."}, os.Args[1:]...), " "), Machine: thisMachine()}
	r.Contests, err = compete(size, names, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		log.Fatal(err)
	}
	r.markdown(os.Stdout)
	if *file != "" {
		if err := r.save(*file); err != nil {
			log.Fatal(err)
		}
	}
}
