// Package queuetest is the conformance suite for implementations of queue.Queue.
//
//	func TestQueue(t *testing.T) {
//		queuetest.Run(t, queuetest.Suite{New: func(t *testing.T) queue.Queue { return newQueue(t) }})
//	}
//
// It has a sub-test per rule; a failure prints what was seen and the rule. A rule that needs what the queue does not
// have is logged with the reason. What a queue has is read from queue.Properties and from the hooks of Suite; a queue
// that says it is durable must bring Reopen and Process.
package queuetest

import (
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher/queue"
)

// Suite says how to make the queue under test. Only New is required.
type Suite struct {
	// New returns an empty queue, once per sub-test, and closes it with t.Cleanup. The suite stops the lanes it opened.
	New func(t *testing.T) queue.Queue
	// Reopen closes q, whose lanes are stopped, opens its store again as a new start of the program would, and closes
	// that with t.Cleanup. nil = the queue forgets.
	Reopen func(t *testing.T, q queue.Queue) queue.Queue
	// Process lets the suite use the store from child processes. nil = the queue lives in one process and forgets.
	Process *Process

	// Unit is the delay of jobs that wait, and how long the suite looks on when nothing may happen. It must be well
	// above Properties.Precision and a few calls of the queue. 0 = DefaultUnit.
	Unit time.Duration
	// Slack is how much later than Properties.Precision something may be on a busy machine. 0 = DefaultSlack.
	Slack time.Duration
	// Timeout is how long the suite waits for what must happen. 0 = DefaultTimeout.
	Timeout time.Duration
	// Lease is after how long without a sign of life the queue takes a job from a process. The suite stalls a handler
	// for twice as long. 0 = no lease runs out while the process lives.
	Lease time.Duration
	// Crowd is the number of jobs of a dead lane beside live ones, of those pending at a restart, and of a full lane.
	// It should be more than a queue with a store keeps of a lane in memory. 0 = DefaultCrowd.
	Crowd int
	// Parallel runs the sub-tests side by side. It is for queues that spend their time waiting for a server; what they
	// wait is then long besides: allow for it in Slack.
	Parallel bool
	// Bubble runs the body of each sub-test, making the queue included. nil = it is just called. With
	// testing/synctest.Test the suite takes no time, for queues that do no I/O.
	Bubble func(t *testing.T, body func(t *testing.T))
}

// Defaults of Suite.
const (
	DefaultUnit    = 50 * time.Millisecond
	DefaultSlack   = 2 * time.Second
	DefaultTimeout = 30 * time.Second
	DefaultCrowd   = 2000
)

// Run checks a queue against the rules, a sub-test for each.
func Run(t *testing.T, s Suite) {
	t.Helper()
	s = s.withDefaults()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if s.Parallel {
				t.Parallel()
			}
			s.Bubble(t, func(t *testing.T) {
				if reason := r.run(newProbe(t, t, r, s)); reason != "" {
					t.Logf("does not apply, because %s: %s", reason, r.text)
				}
			})
		})
	}
}

func (s Suite) withDefaults() Suite {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&s.Unit, DefaultUnit}, {&s.Slack, DefaultSlack}, {&s.Timeout, DefaultTimeout}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if s.Crowd <= 0 {
		s.Crowd = DefaultCrowd
	}
	if s.Bubble == nil {
		s.Bubble = func(t *testing.T, body func(t *testing.T)) { body(t) }
	}
	return s
}
