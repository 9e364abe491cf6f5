package queue

import (
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// inboxKept is how many places an empty inbox keeps.
const inboxKept = 1024

// inbox holds the youngest ready jobs of a lane, as long as nothing is to be said of them but that they wait. Most jobs
// are taken right out of it. Its items lie side by side, because the one who pushes and the one who takes are on
// different cores, and moving entries of a list between those costs more than all the rest of a delivery.
type inbox struct {
	items []letter
	first int // the oldest
}

// letter is a plain job: due at once, without order key, attempts and headers.
type letter struct {
	event      event.Event
	generation int64
	enqueued   time.Time // as it came: most letters need it once, so that a stamp would be made for nothing
}

// plain reports whether a letter says all of j.
func plain(j *Job) bool {
	return j.OrderKey == "" && j.NotBefore.IsZero() && j.FirstTried.IsZero() && j.Attempt == 0 && j.Headers == nil
}

func (b *inbox) len() int { return len(b.items) - b.first }

func (b *inbox) push(l letter) {
	if len(b.items) == cap(b.items) && b.first > len(b.items)/2 {
		n := copy(b.items, b.items[b.first:])
		clear(b.items[n:])
		b.items, b.first = b.items[:n], 0
	}
	b.items = append(b.items, l)
}

// pop removes the oldest; there must be one.
func (b *inbox) pop() letter {
	l := b.items[b.first]
	b.items[b.first] = letter{}
	b.first++
	if b.first == len(b.items) {
		b.items, b.first = b.items[:0], 0
		if cap(b.items) > inboxKept {
			b.items = nil
		}
	}
	return l
}
