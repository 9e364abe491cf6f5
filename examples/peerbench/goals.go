package main

// busy is said where a figure is a time on the clock.
const busy = "by the clock, where other load on the machine counts: see the load before the run"

// goals are the project's own targets, in the order of the contests. "Flat" is no more than a quarter apart.
func goals(p programme) []goal {
	of := func(contest, entrant string, column func(result) spread) func(figures) float64 {
		return func(f figures) float64 { return f.get(contest, entrant, column) }
	}
	// over is ours divided by another entrant's.
	over := func(contest, ours, other string, column func(result) spread) func(figures) float64 {
		return func(f figures) float64 { return f.get(contest, ours, column) / f.get(contest, other, column) }
	}
	perEvent := func(f figures) float64 { return f.get("fan-out", withoutLimit, allocations) * receivers }
	longest := func(column func(result) spread) func(figures) float64 {
		return over("backlog", waitingName(p.jobs), waitingName(max(1, p.jobs/1000)), column)
	}
	const clocks = "profiled: handing a delivery to a lane and its senders taking it are two fifths, reading the clock a sixth; the rest is " +
		"the attempt, its record and the observer. A channel keeps none of that. Tried: several deliveries in one locking (no gain, " +
		"left out), fewer copies and clock reads (a fifth less, kept)"
	const deadlines = "the difference of two rows that both wander: attempts that begin together share a context"
	return []goal{
		{"fan-out", "no time limit, processor time beside the floor", 0, 2.5, " ×", of("fan-out", withoutLimit, ratio), clocks},
		{"fan-out", "no time limit, deliveries per second", 4e6, 0, "", of("fan-out", withoutLimit, rate), busy},
		{"fan-out", "no time limit, allocations per event", 0, 6, "", perEvent, ""},
		{"fan-out", "as it comes, deliveries per second", 1e6, 0, "", of("fan-out", asItComes, rate), busy},
		{"fan-out", "as it comes, allocations per delivery", 0, 6, "", of("fan-out", asItComes, allocations), ""},
		{"fan-out", "no time limit, deliveries per second beside notify's", 1.8, 0, " ×", over("fan-out", withoutLimit, nameNotify, rate),
			"notify is an errgroup a call, by 64 callers: no queue, no record, no observer. What is left to save is in the first row"},
		{"fan-out", "no time limit, beside Watermill Router's", 35, 0, " ×", over("fan-out", withoutLimit, nameRouter, rate),
			"what is left to save is in the first row"},
		{"fan-out", "beside Alertmanager with its log, dedup and retries", 100, 0, " ×",
			over("fan-out", withoutLimit, nameAlertmanager, rate), "what is left to save is in the first row"},
		{"fan-out", "what a time limit adds to an attempt, ns", 0, 250, "", func(f figures) float64 {
			return f.get("fan-out", asItComes, processor) - f.get("fan-out", withoutLimit, processor)
		}, deadlines},
		{"fan-out", "what a time limit adds, allocations", 0, 1, "", func(f figures) float64 {
			return f.get("fan-out", asItComes, allocations) - f.get("fan-out", withoutLimit, allocations)
		}, deadlines},
		{"routes", "1,000 routes beside 10, processor time of a delivery", 0, 1.25, " ×", over("routes", "to 1000", "to 10", processor),
			"not profiled; likely the caches, which hold the state of ten lanes and not of a thousand"},
		{"routes", "10,000 idle routes, processor time of a delivery", 0, 1.25, " ×", over("routes", besideIdleRoutes, "to 10", processor),
			"not profiled"},
		{"routes", "1,000 routes beside 10, memory of a route", 0, 1.25, " ×", over("routes", "to 1000", "to 10", metric(heldPerRoute)), ""},
		{"backlog", "the longest beside a thousandth, processor time of a job", 0, 1.25, " ×", longest(processor),
			"profiled: the collector, which follows all that waits, takes 27 % of it (14 % with a thousandth), and copying the lane as it grows 6 %"},
		{"backlog", "the longest beside a thousandth, memory of a job", 0, 1.25, " ×", longest(metric(heldPerJob)), ""},
		{"isolation", "1 of 10 hangs, healthy within 100 ms, %", 100, 0, "", of("isolation", asItComes+", 1 publisher", metric(healthyShare)), busy},
		{"isolation", "5 of 10 hang", 100, 0, "", of("isolation", isolatedFromFive, metric(healthyShare)), busy},
		{"isolation", "9 of 10 hang", 100, 0, "", of("isolation", isolatedFromNine, metric(healthyShare)), busy},
		{"isolation", "1 hangs until its limit, again and again", 100, 0, "", of("isolation", isolatedUntilLimit, metric(healthyShare)), busy},
		{"isolation", "p99 beside the run without a hang", 0, 1.1, " ×", func(f figures) float64 {
			one := asItComes + ", 1 publisher"
			return f.get("isolation", one, metric(healthyP99)) / f.get("isolation", one, metric(usualP99))
		}, "both are a few timer ticks of the publisher: compare the milliseconds"},
		{"isolation", "goroutines more than before, with 1 that hangs", 0, 4, "", of("isolation", asItComes+", 1 publisher", metric(goroutinesMore)),
			"senders of the route that hangs: as many as its Concurrency"},
		{"undisturbed", "1 of 10 hangs, events per second beside none", 0.95, 0, " ×", over("undisturbed", hangingName(1), hangingName(0), rate), busy},
		{"undisturbed", "5 of 10 hang", 0.95, 0, " ×", over("undisturbed", hangingName(5), hangingName(0), rate), busy},
		{"undisturbed", "9 of 10 hang", 0.95, 0, " ×", over("undisturbed", hangingName(9), hangingName(0), rate),
			"nine full lanes refuse each event by name, in the publisher's time, which costs about what nine deliveries do"},
		{"http", "the whole way, processor time beside the floor", 0, 1.15, " ×", of("http", wholeWay, ratio),
			"profiled: the channel alone is near the target; an engine adds the queue, a deadline of its own, waking senders, and what the " +
				"collector follows of all that"},
		{"http", "the whole way, new connections per 1,000", 0, 2, "", of("http", wholeWay, metric(newConnections)), ""},
		{"http", "the whole way, allocations", 0, 55, "", of("http", wholeWay, allocations), ""},
		{"http", "one event to ten webhooks by a durable queue, µs of processor time", 0, 72, "", func(f figures) float64 {
			return f.get("http", wholeWayDurable, processor) / 1000
		}, "not a ratio: the target was set where the floor of this table took 22 to 25 µs"},
		{"durable", "jobs per second beside River's", 20, 0, " ×", over("durable", nameSQLite, nameRiver, rate), busy},
		{"dedup", "processor time beside the floor", 0, 1.2, " ×", of("dedup", nameDedup, ratio),
			"it also knows owners, leases and a bound, which the floor does not"},
		{"dedup", "bytes per live key", 0, 128, "", of("dedup", nameDedup, metric(heldPerKey)),
			"tables grow by doubling: with few keys in them they are emptier"},
		{"dedup", "repeats missed", 0, 0, "", of("dedup", nameDedup, metric(repeatsMissed)), ""},
		{"retries", "bytes each", 0, 64, "", of("retries", nameRetries, metric(heldPerRetry)), ""},
		{"retries", "latest, ms late", 0, 100, "", of("retries", nameRetries, metric(latestRetry)), busy},
		{"retries", "processor time, ns", 0, 1200, "", of("retries", nameRetries, processor), "not a ratio: see the first row of its table"},
		{"signature", "processor time beside the library", 0, 0.81 / 2.84, " ×", of("signature", ourSignature, ratio),
			"the last row of its table is the hash of the body alone, which no signature can do without"},
		{"json", "ten receivers beside one, processor time", 0, 1.1, " ×", over("json", encodedForTen, encodedForOne, processor), "not profiled"},
	}
}
