package main

import "math"

// Entrants that targets look for.
const (
	withDefaults     = "Tocsin, defaults"
	withoutLimit     = "Tocsin, no time limit"
	nameNotify       = "nikoksr/notify"
	besideIdleRoutes = "to 10, beside 10,000 that match nothing"
	throughEngine    = "Tocsin, engine and webhook"
	throughSQLite    = "Tocsin, engine, sqlitequeue, ten webhooks"
	nameSQLite       = "Tocsin, sqlitequeue"
	nameRiver        = "River on SQLite, tuned"
	nameDedup        = "Tocsin, dedup.Memory"
	nameRetries      = "Tocsin, memoryqueue"
	encodedForOne    = "Tocsin, for one"
	encodedForTen    = "Tocsin, for ten"

	isolatedUntilLimit = "Tocsin, 1 hangs until its limit of 50 ms"
	isolatedFromFive   = "Tocsin, 5 of 10 hang"
	isolatedFromNine   = "Tocsin, 9 of 10 hang"
)

// Columns that targets look for.
const (
	heldPerRoute   = "KB/route"
	heldPerJob     = "bytes/job"
	healthyShare   = "in time, %"
	healthyP99     = "p99, ms"
	usualP99       = "no hang, ms"
	goroutinesMore = "goroutines"
	newConnections = "connections/1,000"
	heldPerKey     = "bytes/key"
	repeatsMissed  = "missed"
	heldPerRetry   = "bytes/retry"
	latestRetry    = "latest, ms"
)

// target is a bound that a figure of Tocsin is to keep.
type target struct {
	contest string
	what    string
	// least or most; the other is 0.
	least, most float64
	unit        string
	value       func(f figures) float64
	// why says what a reader should know when it is missed.
	why string
}

// judgement is a target and whether it was met.
type judgement struct {
	Contest  string `json:"contest"`
	What     string `json:"what"`
	Target   string `json:"target"`
	Measured string `json:"measured"`
	Verdict  string `json:"verdict"` // met, missed, not measured
	Why      string `json:"why,omitempty"`
}

const (
	met         = "met"
	missed      = "missed"
	notMeasured = "not measured"
)

// judge compares the targets of the contests that were run with what was measured.
func judge(s size, outcomes []outcome) []judgement {
	f := figuresOf(outcomes)
	var all []judgement
	for _, t := range targets(s) {
		if _, run := f[t.contest]; run {
			all = append(all, t.judge(f))
		}
	}
	return all
}

func (t target) judge(f figures) judgement {
	v := t.value(f)
	j := judgement{Contest: t.contest, What: t.what, Target: "at most " + figure(t.most) + t.unit, Measured: figure(v) + t.unit, Verdict: met}
	reached := v <= t.most
	if t.least != 0 {
		j.Target, reached = "at least "+figure(t.least)+t.unit, v >= t.least
	}
	switch {
	case math.IsNaN(v):
		j.Verdict, j.Measured = notMeasured, figure(v)
	case !reached:
		j.Verdict, j.Why = missed, t.why
	}
	return j
}

// targets are the project's own, in the order of the contests. Where a cost should not grow, a quarter is allowed.
func targets(s size) []target {
	of := func(contest, entrant string, column func(result) spread) func(figures) float64 {
		return func(f figures) float64 { return f.get(contest, entrant, column) }
	}
	// over is one entrant's figure divided by another's.
	over := func(contest, ours, other string, column func(result) spread) func(figures) float64 {
		return func(f figures) float64 { return f.get(contest, ours, column) / f.get(contest, other, column) }
	}
	longest := func(column func(result) spread) func(figures) float64 {
		return over("backlog", waitingName(s.jobs), waitingName(max(1, s.jobs/1000)), column)
	}
	const clock = "measured by the clock: other load on the machine counts, see the load before the run"
	return []target{
		{"fan-out", "no time limit: CPU beside notify's", 0, 1, " ×", over("fan-out", withoutLimit, nameNotify, processor), ""},
		{"fan-out", "no time limit: allocations per event", 0, 6, "", func(f figures) float64 {
			return f.get("fan-out", withoutLimit, allocations) * receivers
		}, ""},
		{"fan-out", "defaults: deliveries per second", 1e6, 0, "", of("fan-out", withDefaults, rate), clock},
		{"fan-out", "defaults: allocations per delivery", 0, 6, "", of("fan-out", withDefaults, allocations), ""},
		{"routes", "1,000 routes beside 10: CPU of a delivery", 0, 1.25, " ×", over("routes", "to 1000", "to 10", processor), ""},
		{"routes", "1,000 routes beside 10: memory of a route", 0, 1.25, " ×", over("routes", "to 1000", "to 10", metric(heldPerRoute)), ""},
		{"routes", "10,000 idle routes: CPU of a delivery", 0, 1.25, " ×", over("routes", besideIdleRoutes, "to 10", processor), ""},
		{"backlog", "longest beside a thousandth: CPU of a job", 0, 1.25, " ×", longest(processor),
			"the garbage collector follows all that waits"},
		{"backlog", "longest beside a thousandth: memory of a job", 0, 1.25, " ×", longest(metric(heldPerJob)), ""},
		{"isolation", "1 of 10 hangs: healthy within 100 ms", 100, 0, " %", of("isolation", withDefaults, metric(healthyShare)), clock},
		{"isolation", "5 of 10 hang: healthy within 100 ms", 100, 0, " %", of("isolation", isolatedFromFive, metric(healthyShare)), clock},
		{"isolation", "9 of 10 hang: healthy within 100 ms", 100, 0, " %", of("isolation", isolatedFromNine, metric(healthyShare)), clock},
		{"isolation", "1 of 10 times out again and again", 100, 0, " %", of("isolation", isolatedUntilLimit, metric(healthyShare)), clock},
		{"isolation", "1 of 10 hangs: p99 beside no hang", 0, 1.1, " ×", func(f figures) float64 {
			return f.get("isolation", withDefaults, metric(healthyP99)) / f.get("isolation", withDefaults, metric(usualP99))
		}, "both are a few timer ticks of the publisher: compare the milliseconds"},
		{"isolation", "1 of 10 hangs: more goroutines", 0, 4, "", of("isolation", withDefaults, metric(goroutinesMore)),
			"senders of the route that hangs: as many as its Concurrency"},
		{"hangs", "1 of 10 hangs: events per second beside none", 0.95, 0, " ×", over("hangs", hangingName(1), hangingName(0), rate), clock},
		{"hangs", "5 of 10 hang: events per second beside none", 0.95, 0, " ×", over("hangs", hangingName(5), hangingName(0), rate), clock},
		{"hangs", "9 of 10 hang: events per second beside none", 0.95, 0, " ×", over("hangs", hangingName(9), hangingName(0), rate),
			"nine full lanes refuse each event by name, in the publisher's time"},
		{"http", "engine and webhook: CPU beside the floor", 0, 1.15, " ×", of("http", throughEngine, ratio), ""},
		{"http", "engine and webhook: new connections per 1,000", 0, 2, "", of("http", throughEngine, metric(newConnections)), ""},
		{"http", "engine and webhook: allocations", 0, 55, "", of("http", throughEngine, allocations), ""},
		{"http", "through sqlitequeue to ten webhooks: CPU", 0, 72, " µs", func(f figures) float64 {
			return f.get("http", throughSQLite, processor) / 1000
		}, "a time, not a ratio: a tenth of Outpost's, on a machine where the floor takes 22 to 25 µs"},
		{"durable", "jobs per second beside River's", 20, 0, " ×", over("durable", nameSQLite, nameRiver, rate), clock},
		{"dedup", "CPU beside the floor", 0, 1.2, " ×", of("dedup", nameDedup, ratio),
			"it also knows owners, leases and a bound, which the floor does not"},
		{"dedup", "bytes per live key", 0, 128, "", of("dedup", nameDedup, metric(heldPerKey)),
			"tables grow by doubling: with few keys in them they are emptier"},
		{"dedup", "repeats missed", 0, 0, "", of("dedup", nameDedup, metric(repeatsMissed)), ""},
		{"retries", "bytes of a pending retry beyond the job", 0, 64, "", of("retries", nameRetries, metric(heldPerRetry)), ""},
		{"retries", "latest retry", 0, 100, " ms", of("retries", nameRetries, metric(latestRetry)), clock},
		{"retries", "CPU of a retry", 0, 1200, " ns", of("retries", nameRetries, processor), "a time, not a ratio"},
		{"json", "ten receivers beside one: CPU", 0, 1.1, " ×", over("json", encodedForTen, encodedForOne, processor), ""},
	}
}
