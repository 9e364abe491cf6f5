package channel

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/tocsin-go/tocsin/event"
)

// Delivery is one attempt to give one event to one route.
type Delivery struct {
	Event event.Event
	Route string // name of the route, unique within a dispatcher
	// Attempt is 1 for the first, 2 for the first retry and so on. Postponed attempts are not counted.
	Attempt int
	// Generation is 0, or another number for each time somebody delivered the event to the route again on purpose.
	// Such a delivery is never suppressed as a duplicate.
	Generation int64
}

// ID identifies the pair of event and route: the same for all attempts and generations, so receivers use it as the
// idempotency key (webhook-id). It is the event's id, "_" and 16 hexadecimal digits derived from the route's name; at
// most 117 characters, none of them a dot.
func (d Delivery) ID() string {
	route := sha256.Sum256([]byte(d.Route))
	var id [128]byte
	b := append(id[:0], d.Event.ID()...)
	b = append(b, '_')
	return string(hex.AppendEncode(b, route[:8]))
}
