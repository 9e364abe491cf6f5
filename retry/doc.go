// Package retry says what a failed attempt means and when to try again.
//
// The two halves are independent. A sender marks its errors with a verdict: [Permanent], [Delay] or [Postpone]; an
// unmarked error is transient. A [Policy] is a pure function from a [Failure] to the pause before the next attempt. It
// neither sleeps nor remembers anything, so the same value serves a loop in this process ([Do]) and the schedule of a
// queue, for any number of deliveries at once.
package retry
