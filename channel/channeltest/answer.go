package channeltest

import (
	"strconv"
	"time"
)

// Answer is a class of what a destination may do with an event.
type Answer uint8

// The classes. The verdict that the channel's error must have follows each.
const (
	Accepted    Answer = iota // takes the event: no error
	Unavailable               // cannot take it now, for example HTTP 503: transient
	Throttled                 // wants no other attempt before ThrottleDelay has passed: transient, with that delay
	Rejected                  // will never take this event, for example HTTP 400: permanent
	Gone                      // does not exist any more, for example HTTP 410: permanent, and channel.ErrGone
	Silent                    // takes the connection, or the request, and never answers
)

// ThrottleDelay is what a [Throttled] destination asks for.
const ThrottleDelay = 90 * time.Second

func answers() []Answer { return []Answer{Accepted, Unavailable, Throttled, Rejected, Gone, Silent} }

// OneWay lists the classes that a destination does not have when nothing comes back from it, for Unsupported: all but
// Accepted. Send then returns without an answer to wait for.
func OneWay() []Answer { return []Answer{Unavailable, Throttled, Rejected, Gone, Silent} }

// String returns the name of the class.
func (a Answer) String() string {
	switch a {
	case Accepted:
		return "Accepted"
	case Unavailable:
		return "Unavailable"
	case Throttled:
		return "Throttled"
	case Rejected:
		return "Rejected"
	case Gone:
		return "Gone"
	case Silent:
		return "Silent"
	}
	return "Answer(" + strconv.Itoa(int(a)) + ")"
}
