package natsqueue

import (
	"errors"
	"time"
)

// ownership is what a lane knows of its messages at the servers. It is guarded by the lane's lock.
type ownership struct {
	serving bool      // a goroutine does what next says
	after   time.Time // next says nothing before it, because the servers did not answer
	asks    []chan<- purged

	owned     bool
	mine      bool      // it was owned here last
	owner     string    // another worker that owns it; "" = perhaps nobody
	since     time.Time // when it became owned
	unread    bool      // there may be plain jobs from cursor on
	loading   bool      // they are being read
	notes     []note    // what was stored meanwhile, the latest of it
	cursor    uint64    // the plain jobs before it have been read since the lane is owned
	backlog   int       // about so many have not been read
	keyed     bool      // there may be scheduled jobs from keyedOn on
	keyedOn   uint64
	unheld    uint64          // the latest scheduled job this process was notified of and did not take
	fresh     uint64          // what is before it was stored before the lane became owned
	touched   uint64          // greater than the numbers of all that was here, or at a previous owner
	unsure    uint64          // what is read before it may be removed already: only the leader of the stream knows
	latest    uint64          // the number this process was notified of last
	absent    uint64          // it is not there any more
	reads     int             // changes when all is to be read anew
	complete  bool            // all that was stored when the lane became owned has been read
	forgotten map[uint64]bool // what is read and is not new: it was here when reading began, or since
	leaving   bool            // the servers do not know yet that it is not owned any more
	claimed   uint64          // the number of the message that says who owns it
	busy      bool

	yielding bool   // to another worker, so nothing starts
	wanted   string // by that worker
	wantedAt time.Time
	ran      int       // jobs that have started since it is owned
	asked    time.Time // when the owner was asked for it last
	unwanted time.Time // no yielding before it

	unseen   bool // scan failed
	warned   time.Time
	unserved string // why its jobs wait; "" = they do not
}

// step is what a lane does next with the servers.
type step uint8

const (
	rest    step = iota
	claim        // become the owner
	adopt        // become the owner in the place of the lane opened before
	load         // read messages
	leave        // let others own it
	sweep        // remove all that waits, for Purge
	request      // ask the owner to yield
)

const (
	// readAhead is how many messages are read beyond those that may start.
	readAhead = 16
	// mostHeld bounds the messages here of one lane, and mostJobs those of all together, but for what each has a window
	// for.
	mostHeld = 4 << 10
	mostJobs = 16 << 10
	// mostRead bounds a window.
	mostRead = 512
	// mostNotes bounds the messages kept while a lane is read.
	mostNotes = 256
	// slice is how long a worker owns a lane before it yields to another.
	slice = 50 * time.Millisecond
	// yieldTime is how long what runs may take before the lane is kept after all.
	yieldTime = 2 * slice
	// fewJobs is how many have to have run before a lane is yielded in which none waits.
	fewJobs = 16
	// wantedTime is for how long a lane is wanted, and how long it is left to the one it was yielded to.
	wantedTime = 2 * askPause
	// askPause is how often the owner is asked.
	askPause = 500 * time.Millisecond
	// unwantedPause is how long a lane is kept whose jobs take longer than yieldTime.
	unwantedPause = 2 * time.Second
)

// wants reports whether the lane may start jobs, and so whether it is to be owned here. Called with the lane locked.
func (l *lane) wants() bool { return !l.stopped && l.limit > 0 && !l.resting && !l.yielding }

// next says what to do. Called with the lane locked.
func (l *lane) next() step {
	now := time.Now()
	switch {
	case len(l.asks) > 0 && (l.owned && !l.removing && l.deleting+l.retrying == 0 || !l.owned && l.owner != ""):
		return sweep
	case now.Before(l.after) || len(l.asks) > 0 && l.owned || !l.owned && l.q.current() == "":
		return rest
	case l.leaving:
		return leave
	case len(l.asks) > 0 && l.before != nil && l.adoptable():
		return adopt
	case len(l.asks) > 0:
		return claim
	case l.owned && !l.wants() && l.working == 0:
		return leave
	case l.owned && l.wants() && (l.unread || l.keyed) && l.inOrder() < l.window()/2:
		return load
	case l.owned || !l.wants() || !l.unread && !l.keyed:
		return rest
	case l.before != nil && l.adoptable():
		return adopt
	case l.before != nil:
		return rest
	case l.owner == "":
		return claim
	case now.Sub(l.asked) >= askPause:
		return request
	}
	return rest
}

// step starts what can start, and does what is to be done at the servers. Called with the lane locked.
func (l *lane) step() {
	l.startNext()
	l.signal()
	if !l.serving && l.next() != rest {
		l.serving = true
		l.q.ended.Go(l.serve)
	}
}

// serve does one step after the other until there is none.
func (l *lane) serve() {
	l.q.steps <- struct{}{}
	defer func() { <-l.q.steps }()
	l.mu.Lock()
	for {
		s := l.next()
		if s == rest {
			break
		}
		l.mu.Unlock()
		toDo, err := l.do(s)
		if err != nil {
			l.warn(toDo, err)
		}
		l.mu.Lock()
		if err != nil {
			l.wait(retryPause)
			continue
		}
		l.startNext()
		l.signal()
	}
	l.serving = false
	l.signal()
	gone := l.gone()
	l.mu.Unlock()
	if gone {
		l.q.left(l)
	}
}

// retryPause is after how long the servers are asked again that did not answer within Timeout, or refused.
const retryPause = 250 * time.Millisecond

// wait makes next say nothing for a while. Called with the lane locked.
func (l *lane) wait(d time.Duration) {
	l.after = time.Now().Add(d)
	time.AfterFunc(d, l.wake)
}

// do does a step, and says what it was.
func (l *lane) do(s step) (toDo string, err error) {
	ctx, cancel := l.q.bounded(l.ctx)
	defer cancel()
	switch s {
	case claim:
		return "claim the lane", l.claim(ctx)
	case adopt:
		l.adopt()
	case load:
		return "read jobs", l.load(ctx)
	case leave:
		return "leave the lane", l.leave()
	case sweep:
		l.sweep()
	case request:
		l.request()
	case rest:
	}
	return "", nil
}

// warnPause is the least time between two warnings about a lane that say why its jobs wait.
const warnPause = time.Minute

// warn keeps what could not be done so that the lane's jobs wait, and logs it: at once, and then once in a while for as
// long as it lasts.
func (l *lane) warn(toDo string, err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	l.unserved = toDo + ": " + err.Error()
	quiet := errors.Is(err, errUnregistered) || errors.Is(err, errStranger) // they pass, or are logged once for all
	recent := quiet || !l.warned.IsZero() && time.Since(l.warned) < warnPause
	if !recent {
		l.warned = time.Now()
	}
	l.mu.Unlock()
	if !recent {
		l.q.config.Logger.Warn("tocsin: the lane is not served until the NATS servers answer", "route", l.name, "to_do", toDo, "error", err)
	}
}

// recovered forgets what was warned about, and logs that. Called with the lane locked.
func (l *lane) recovered() {
	warned := !l.warned.IsZero()
	l.warned, l.unserved = time.Time{}, ""
	if warned {
		l.q.config.Logger.Info("tocsin: the lane is served again", "route", l.name)
	}
}
