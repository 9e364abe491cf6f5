package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// contest is a piece of work and those who do it, each in its own way, in turns, so that whatever else the machine does
// meets all alike.
type contest struct {
	name  string // for -only
	title string
	work  string // what each entrant does
	unit  string // what costs are divided by
	// amount is how many units an entrant does in a round, and warm how many before the measured ones.
	amount, warm int
	// costless leaves out the columns of costs, where they say nothing.
	costless bool
	metrics  []string // columns that are the contest's own
	traits   []string // columns of the table that says what each entrant does besides
	entrants []entrant
}

// entrant is one way to do a contest's work. The first of a contest is what the others are compared with.
type entrant struct {
	name   string
	traits []string // as contest.traits names them
	part   int      // does only amount/part units, because it is slow; 0 = 1
	open   func(units int) (worker, error)
}

// worker is an entrant at work: for one round and a number of units that is known when it is opened.
type worker struct {
	do func(units int) error
	// figures are the contest's metrics of what was done last; nil = it has none.
	figures func() []float64
	close   func() error
}

// outcome is what a contest has shown.
type outcome struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Unit     string   `json:"unit"`
	Entrants []result `json:"entrants"`

	contest contest
}

// result is one entrant's part in it.
type result struct {
	Name        string            `json:"name"`
	CPU         spread            `json:"cpu_ns_per_unit"`
	Ratio       spread            `json:"cpu_ratio"` // to the first entrant, round by round
	Rate        spread            `json:"units_per_second"`
	Allocations spread            `json:"allocations_per_unit"`
	Metrics     map[string]spread `json:"metrics,omitempty"`
}

// round is what one entrant took in one round, per unit.
type round struct {
	cpu, rate, allocations float64
	figures                []float64
}

// run has all entrants do their work the given number of times.
func (c contest) run(rounds int, progress func(string)) (outcome, error) {
	all := make([][]round, len(c.entrants))
	for n := range rounds {
		for i := range c.entrants {
			k := (n + i) % len(c.entrants) // in turn, for what one leaves to the next
			progress(fmt.Sprintf("%s, round %d of %d: %s", c.name, n+1, rounds, c.entrants[k].name))
			r, err := c.round(c.entrants[k])
			if err != nil {
				return outcome{}, fmt.Errorf("%s, %s: %w", c.name, c.entrants[k].name, err)
			}
			all[k] = append(all[k], r)
		}
	}
	o := outcome{Name: c.name, Title: c.title, Unit: c.unit, contest: c}
	for i, e := range c.entrants {
		o.Entrants = append(o.Entrants, c.result(e.name, all[i], all[0]))
	}
	return o, nil
}

func (c contest) round(e entrant) (_ round, err error) {
	part := max(1, e.part)
	amount, warm := max(1, c.amount/part), c.warm/part
	runtime.GC()
	w, err := e.open(warm + amount)
	if err != nil {
		return round{}, err
	}
	defer func() {
		if closed := w.close(); err == nil {
			err = closed
		}
	}()
	if warm > 0 {
		if err := w.do(warm); err != nil {
			return round{}, err
		}
	}
	runtime.GC()
	before := spent()
	if err := w.do(amount); err != nil {
		return round{}, err
	}
	used, units := spent().minus(before), float64(amount)
	r := round{
		cpu: float64(used.cpu.Nanoseconds()) / units, rate: units / used.wall.Seconds(),
		allocations: float64(used.allocations) / units,
	}
	if w.figures != nil {
		r.figures = w.figures()
	}
	return r, nil
}

func (c contest) result(name string, rounds, first []round) result {
	over := func(f func(n int) float64) spread {
		values := make([]float64, len(rounds))
		for n := range rounds {
			values[n] = f(n)
		}
		return spreadOf(values)
	}
	r := result{
		Name:        name,
		CPU:         over(func(n int) float64 { return rounds[n].cpu }),
		Ratio:       over(func(n int) float64 { return rounds[n].cpu / first[n].cpu }),
		Rate:        over(func(n int) float64 { return rounds[n].rate }),
		Allocations: over(func(n int) float64 { return rounds[n].allocations }),
	}
	for i, metric := range c.metrics {
		if i >= len(rounds[0].figures) {
			break
		}
		if r.Metrics == nil {
			r.Metrics = map[string]spread{}
		}
		r.Metrics[metric] = over(func(n int) float64 { return rounds[n].figures[i] })
	}
	return r
}

// repeated is an entrant that does one thing, one unit at a time.
func repeated(name string, open func() (func() error, error)) entrant {
	return entrant{name: name, open: func(int) (worker, error) {
		once, err := open()
		return worker{
			do: func(units int) error {
				for range units {
					if err := once(); err != nil {
						return err
					}
				}
				return nil
			},
			close: func() error { return nil },
		}, err
	}}
}

// cost is what this process has used.
type cost struct {
	cpu, wall   time.Duration
	allocations uint64
}

// spent is the cost so far, of all goroutines and the garbage collector.
func spent() cost {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for a bad address only
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{
		cpu:         time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		wall:        time.Duration(time.Now().UnixNano()),
		allocations: memory.Mallocs,
	}
}

func (c cost) minus(o cost) cost {
	return cost{c.cpu - o.cpu, c.wall - o.wall, c.allocations - o.allocations}
}

// held is the memory in use after a collection, stacks included.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc + memory.StackInuse)
}
