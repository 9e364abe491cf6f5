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
// Each lane is owned by one worker at a time, which reads its messages itself and runs its jobs; there are no
// consumers, so any number of lanes is served. Workers share the lanes, dead letters and schedules, and with natsdedup
// the window of a route's dedup. The limit of a lane, and the order of a strict one, hold across them: they are its
// owner's. A worker with more lanes to do than another that wants one of them yields it after 50 ms, if what runs of it
// ends within 100 ms; so a single lane goes back and forth. One that pauses a lane, or whose Admit says to wait for
// more than a second, leaves the lane to the others once its running jobs have ended. A lane without jobs is left after
// a lease.
//
// A worker tells the others every third of Config.Lease that it lives. One that cannot for a whole lease starts nothing
// more, and the others take its lanes: also those that had nothing running wait for that when a process is killed. Stop
// the lanes and Close the queue, and there is no wait.
//
// What a worker remembers is its own: a route's Rate, circuit breaker, and the time a receiver asked for with
// Retry-After begin anew when a lane changes its owner. What a channel remembers from one attempt to the next is each
// worker's own, too: which recipients of a mail have been served, unless email.Config.Progress is a store that all
// workers share, so a mail of which some recipients were refused for now may go to the others again when another worker
// retries it; a Slack bot's references, unless slack.BotConfig.References is such a store; and its pace. Without such a
// store have one recipient per route, or let one worker serve the route and pause it in the others.
//
// Every worker is sent a copy of each job that becomes ready, so that its owner need not read it: at ten thousand jobs
// of 1 KiB a second that is 10 MB/s for each.
//
// A job that is done keeps its place among those that run until its message is removed, by a majority of the replicas.
// So a lane runs no more than its limit between two answers of the servers, and what runs again after a kill is no more
// than that.
//
// The clocks of the processes need not agree: delays are counted by the servers' clock, and a NotBefore is a time
// of it.
//
// # What it promises
//
// Enqueue returns nil once the leader and a majority of the replicas have the job. When a process or a server is
// killed, a server restarted, or the network cut, nothing acknowledged is lost; what a worker that is gone was
// running comes back after Config.Lease and a few seconds. While two workers live, both run a job only if one of them
// could not tell the servers for a whole lease that it lives, or if servers are cut off from each other: one that leads
// no longer may say for ten seconds or so that a job is there which has been removed.
//
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
// A lane serves again by itself after whatever the servers did: a leader changed, they were away, they forgot who owns
// it. What keeps it from being served is logged once a minute. A running process does not make the stream of
// jobs again if somebody deleted it, so that a backup can be restored; New does.
//
// Properties.Urgency is false: a lane is read in the order stored.
//
// Properties.KeyedOrder is false: JetStream has no order by key. Jobs that have an OrderKey in a lane with limit 1,
// which is what the dispatcher makes of a Strict route, run strictly in order across retries, workers and restarts.
// Of several given in one Enqueue, one whose confirmation a failing server owes is stored again, and may then stand
// behind the others: enqueue them one by one where that matters. A lane with limit 1 whose jobs have no key starts
// them in the order stored, and retries come behind those that wait.
//
// Properties.DeadBounded is true: a lane keeps 1,000 dead letters unless its bound says otherwise, and none for longer
// than Config.KeepDead.
//
// Properties.Bounded is false: the disk of the servers is the bound, and a Backlog that is set on a route is refused.
// While it is full Enqueue returns a *StoreError. An event that with 8 KiB for what a retry adds is larger than the
// servers' max_payload is a *TooLargeError, and nothing of its call is stored: raise max_payload, or send less data.
//
// # What is at the servers
//
// Streams <name>-jobs, <name>-dead, <name>-marks and <name>-workers, which this package makes, versions and keeps to
// Config. The last two are in the servers' memory: a message for each worker, for each lane that one owns or, with
// several replicas, has owned in the last ten minutes, and one for each scheduled job that was started or cancelled
// lately. A lane that is closed leaves nothing but what waits in it. Workers ask each other below the subjects
// <name>.ask and <name>.stored, which are in no stream, and listen for the servers' word that the stream of jobs was
// deleted: whoever restricts the account's subjects allows <name>.> and
// $JS.EVENT.ADVISORY.STREAM.DELETED.<name>-jobs. Do not give the stream of jobs limits: what JetStream drops to keep
// them would be acknowledged jobs.
//
// Version 1 of the streams had a consumer for each lane. New deletes those and keeps the jobs; stop all processes of
// that version first, or they make consumers again and run the jobs, too.
package natsqueue
