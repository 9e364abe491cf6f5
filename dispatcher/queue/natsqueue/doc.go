// Package natsqueue is a queue.Queue on NATS JetStream, for hosts that outgrow one process: the queue is kept by
// the servers, any number of processes dispatch, and any number of workers share the lanes.
//
//	nc, err := nats.Connect(urls, nats.MaxReconnects(-1), nats.UserCredentials(file)) // with TLS and credentials
//	q, err := natsqueue.New(ctx, nc, natsqueue.Config{Replicas: 3})
//	engine, err := dispatcher.New(dispatcher.Config{Queue: q, Routes: routes})
//
// It needs NATS servers of version 2.12 or newer, for their message schedules.
//
// # Roles
//
// Every process makes its Engine with the same routes. One that only dispatches never calls Run; one that only
// delivers never calls Dispatch. Routes may be changed in one process while others run the old ones: jobs of a lane
// that no worker knows wait. Drain, and so Engine.Shutdown, waits until the lane has nothing due for any worker;
// give Shutdown a context that ends if others go on.
//
// # Several workers
//
// All workers of a lane share its limit: the number is kept at the servers and the one set last, by whichever
// process, counts; a worker starts no more than its own number either way. They share the order of a strict lane,
// the counts, dead letters and schedules, and with natsdedup the window of a route's dedup.
//
// Each worker has its own pause, and what Admit says: a route's Rate and circuit breaker, and the time a receiver
// asked for with Retry-After. One that may start nothing for more than a second leaves the jobs to the others. So
// with n workers a receiver gets up to n times the Rate, and n probes while it is down. What a channel remembers
// from one attempt to the next is each worker's own, too: which recipients of a mail have been served, unless
// email.Config.Progress is a store that all workers share, so a mail of which some recipients were refused for now may
// go to the others again when another worker retries it; a Slack bot's references, unless slack.BotConfig.References
// is such a store; and its pace. Without such a store have one recipient per route, or let one worker serve the route
// and pause it in the others.
//
// The clocks of the processes need not agree: delays are counted by the servers' clock, and a NotBefore is a time
// of it.
//
// # What it promises
//
// Enqueue returns nil once the leader and a majority of the replicas have the job. When a process or a server is
// killed, a server restarted, or the network cut, nothing acknowledged is lost; what a worker that is gone was
// running comes back after Config.Lease, and what was acknowledged to a server that is gone may come once more.
// When power is lost it depends on the servers: by default they call fsync every two minutes, so a single server
// can lose what it confirmed, and so can three that lose power at the same moment. Run three replicas on separate
// power, or set sync_interval: always in the servers' jetstream block; that is the operator's to set, no client
// can. The queue never asks for the asynchronous persistence JetStream also offers.
//
// A job with a later time, and a retry, is a message schedule, stored before the old message is acknowledged: a
// crash in between repeats the job and loses nothing. Schedules fire in rounds, four a second at most, so such a
// job starts up to Properties.Precision after its time; several in one round start in the order stored. A server
// does not try again to start a job whose message it refused itself, as for lack of room; each process looks every
// ten seconds for what is overdue, logs it, and publishes it again, so such a job starts within half a minute after
// there is room.
//
// When the servers refuse to store an outcome, for lack of room or because of a limit that somebody gave a stream,
// the job is released after Config.Timeout and delivered again half a minute later, as often tried as before, and
// each time a line is logged. Done needs no room.
//
// A lane serves again by itself after whatever the servers did: its consumer was deleted, a leader changed, they
// were away. What keeps it from being served is logged once a minute. A running process does not make the stream of
// jobs again if somebody deleted it, so that a backup can be restored; New does. A consumer that is deleted while
// jobs run may have them run twice.
//
// Properties.Urgency is false: the servers deliver a lane in the order stored. A second consumer for urgent jobs
// would have a limit of its own, and the lane's would bound neither.
//
// Properties.KeyedOrder is false: JetStream has no order by key. Jobs that have an OrderKey in a lane with limit 1,
// which is what the dispatcher makes of a Strict route, run strictly in order across retries, workers and restarts.
// Of several given in one Enqueue, one whose confirmation a failing server owes is stored again, and may then stand
// behind the others: enqueue them one by one where that matters. A lane with limit 1 whose jobs have no key starts
// them in the order stored, and retries come behind those that wait.
//
// Properties.Bounded is false: the disk of the servers is the bound, and a Backlog that is set on a route is refused.
// While it is full Enqueue returns a *StoreError. An event that with 8 KiB for what a retry adds is larger than the
// servers' max_payload is a *TooLargeError, and nothing of its call is stored: raise max_payload, or send less
// data.
//
// # What is at the servers
//
// Streams <name>-jobs (a work queue), <name>-dead and <name>-marks, which this package makes, versions and keeps to
// Config; and in the first a durable consumer per lane, which goes after a week without a worker. With three replicas
// each consumer is a Raft group of its own: hundreds of lanes are fine, thousands are a load; see BenchmarkLanes. Do
// not give the stream of jobs limits: what JetStream drops to keep them would be acknowledged jobs.
package natsqueue
