package signature

import (
	"strconv"
	"time"
)

// Sign returns the values of the scheme's headers for a request, see [Scheme.Headers]: the timestamp, and a signature
// by each key, in their order. id is that of the webhook-id header; the schemes besides Standard ignore it. at counts
// in whole seconds. body is signed byte for byte. The keys must have been made for s, at least one, and at most one
// unless s rotates.
func (s Scheme) Sign(id string, at time.Time, body []byte, keys ...*Key) (timestamp, signatures string) {
	timestamp = strconv.FormatInt(at.Unix(), 10)
	var room [160]byte // for three keys
	value := room[:0]
	for i, k := range keys {
		state := k.borrow()
		value = s.appendSum(value, timestamp, state.compute(s, id, timestamp, body), i == 0)
		k.giveBack(state)
	}
	return timestamp, string(value)
}
