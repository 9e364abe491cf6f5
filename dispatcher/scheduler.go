package dispatcher

import (
	"context"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// Scheduler is all that product code needs to have an event dispatched at a later time, such as the reminder
// grant.expiring_soon: it is scheduled when the grant becomes active and cancelled when the grant is revoked, under a
// key made from the grant's id. Neither needs to know what the other did, or in which run of the program.
type Scheduler interface {
	// Schedule holds an event until the given time and then dispatches it to the routes of that moment. The key names
	// it for Cancel, for example "expiring/" and the grant's id: 1 to 255 bytes, unique among the events of all
	// tenants. Scheduling under a key again replaces what it held. A time in the past is now. The event's id must be
	// its own: if it was dispatched before, it is skipped. When Schedule returns nil, the event is stored.
	//
	// A zero Event is an *EventError, another key a *KeyError, a schedule without room a *BacklogError, and after a
	// shutdown the error is ErrShutdown; what the key held stays. When ctx is done, nothing is stored. Safe for
	// concurrent use.
	Schedule(ctx context.Context, at time.Time, key string, e event.Event) error
	// Cancel removes the event scheduled under key and reports whether there was one that had not been dispatched. Safe
	// for concurrent use.
	Cancel(ctx context.Context, key string) (bool, error)
}

var (
	_ Dispatcher = (*Engine)(nil)
	_ Scheduler  = (*Engine)(nil)
)

// maxKeyLength is the most bytes of a schedule key.
const maxKeyLength = 255

// ValidateKey returns a *KeyError if no Scheduler takes the key, or nil. It is for other implementations of Scheduler,
// as ValidateEvents is.
func ValidateKey(key string) error {
	if key == "" || len(key) > maxKeyLength {
		return &KeyError{Length: len(key)}
	}
	return nil
}
